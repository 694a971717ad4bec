//! Weights of the regressions that score heads: fitted on two thirds of 189 annotated photos (550 faces), jointly over
//! upright, turned, noisy and partly covered versions of them. Each set belongs to one list of views.

/// Evidence of a cluster of boxes alone.
pub const CLUSTER_FEATURES: usize = 24;
/// What the picture's other heads say.
pub const CONTEXT_FEATURES: usize = 5;

/// Of two logistic regressions; the constant stands last.
pub struct Weights {
    /// From the cluster's features.
    pub cluster: [f32; CLUSTER_FEATURES + 1],
    /// From the cluster's features and the context.
    pub context: [f32; CLUSTER_FEATURES + CONTEXT_FEATURES + 1],
}

/// Of both networks over quarter turns.
pub const BOTH: Weights = Weights {
    cluster: [
        0.0598, 0.0000, 0.0000, 0.0380, 0.0410, 0.4771, 0.5281, 0.0000, 0.0000, 0.2073, -0.0801, 0.2389, 0.2389,
        0.5241, -0.3883, 1.4183, -1.2170, -0.8352, 2.1466, -1.1989, -1.8894, 3.0685, 0.8771, 1.3851, 8.4141,
    ],
    context: [
        0.0697, 0.0000, 0.0000, 0.0396, 0.0010, 0.4459, 0.4325, 0.0000, 0.0000, 0.2182, -0.0726, 0.2286, 0.1881,
        0.4989, -0.2382, 1.3649, -1.2802, -1.2808, 2.8046, -1.8653, -2.2076, 2.5056, 0.7616, 1.2899, -0.1784, 0.5363,
        -1.0810, -3.8178, 0.8543, 9.5319,
    ],
};

/// Of YuNet alone.
pub const YUNET: Weights = Weights {
    cluster: [
        0.4937, 0.5087, 0.2926, -0.0094, 0.0877, 0.0330, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000,
        0.4937, -0.4213, 1.1776, -1.9463, -3.5032, 2.7387, 0.4310, -0.5455, 1.1495, -2.2756, 1.3929, 8.6608,
    ],
    context: [
        0.4560, 0.4527, 0.1647, -0.0422, 0.0961, 0.0216, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000,
        0.4560, -0.2627, 1.0618, -1.9262, -4.0859, 2.4261, -0.6154, -0.5101, 0.3435, -2.1947, 1.1044, -0.2684, 0.2644,
        -0.0983, -2.6325, 1.2555, 8.8604,
    ],
};

/// Of CenterFace alone.
pub const CENTERFACE: Weights = Weights {
    cluster: [
        0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.5313, 0.1807, 0.0000, 0.1397, 0.0962, 0.0452, 0.0000, 0.5313,
        -0.7627, 1.4327, -0.4744, 0.3863, 1.1087, -1.2075, -2.5160, 3.5528, 0.8837, 1.3150, 5.4334,
    ],
    context: [
        0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.5029, 0.1387, 0.0000, 0.1118, 0.0972, 0.0276, 0.0000, 0.5029,
        -0.5785, 1.2242, -0.4610, -0.0378, 0.9868, -1.7768, -2.5115, 2.4545, 0.9857, 1.1822, -0.0122, 0.5242, -2.1142,
        -4.2523, 0.8503, 6.6460,
    ],
};
