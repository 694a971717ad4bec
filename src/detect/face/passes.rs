//! Which network looks at which view of a picture: data, chosen by measurement.

use crate::types::geometry::Size;

/// The networks of the ensemble.
#[expect(clippy::enum_variant_names, reason = "these are the networks' names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Net {
    YuNet,
    CenterFace,
    Seeta,
}

/// Size at which a picture is looked at, by its longer side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// Half of `Base`: large heads, which the networks' receptive fields cut at full size.
    Half,
    /// The picture itself, up to [`BASE_SIDE`].
    Base,
    /// Twice `Base`, up to [`DOUBLE_SIDE`].
    Double,
    /// Beyond `Double`, in tiles, for large photos; only small heads are taken from it.
    Fine,
}

const BASE_SIDE: f32 = 1280.0;
const DOUBLE_SIDE: f32 = 1600.0;
/// A head of 24 px in a photo of 12 megapixels still has 14 px at this share of the photo's size.
const FINE_SHARE: f32 = 0.6;
/// Bounds memory and time for pictures of hundreds of megapixels.
const FINE_SIDE: f32 = 6000.0;
/// A scale that is hardly larger than the last one shows nothing new.
const LEAST_STEP: f32 = 1.2;

impl Scale {
    /// Factor from the picture to this scale; `None` when it would not differ enough from the next smaller one.
    pub fn factor(self, size: Size) -> Option<f32> {
        let longest = size.width.max(size.height).max(1) as f32;
        let base = longest.min(BASE_SIDE);
        let (side, least) = match self {
            Scale::Half => (base / 2.0, 0.0),
            Scale::Base => (base, 0.0),
            Scale::Double => ((base * 2.0).min(DOUBLE_SIDE), base * LEAST_STEP),
            Scale::Fine => ((longest * FINE_SHARE).min(FINE_SIDE), DOUBLE_SIDE * LEAST_STEP),
        };
        (side >= least).then_some(side / longest)
    }
}

/// Views of one scale, each shown to all of `nets`.
#[derive(Clone, Copy, Debug)]
pub struct Views {
    pub nets: &'static [Net],
    pub scale: Scale,
    /// Clockwise turns of the picture, in eighths of a circle.
    pub eighths: &'static [u8],
    /// Mirrored left to right before the turn.
    pub mirrored: bool,
}

impl Views {
    const fn new(nets: &'static [Net], scale: Scale, eighths: &'static [u8]) -> Views {
        Views { nets, scale, eighths, mirrored: false }
    }
}

const QUARTERS: &[u8] = &[0, 2, 4, 6];
const DIAGONALS: &[u8] = &[1, 3, 5, 7];
const BOTH: &[Net] = &[Net::YuNet, Net::CenterFace];
const ALL: &[Net] = &[Net::YuNet, Net::CenterFace, Net::Seeta];

/// Photos.
pub const THOROUGH: &[Views] = &[Views::new(ALL, Scale::Base, QUARTERS), Views::new(BOTH, Scale::Fine, QUARTERS)];

/// A second look at the surroundings of heads that the first left unsure.
pub const AGAIN: &[Views] = &[
    Views::new(BOTH, Scale::Base, DIAGONALS),
    Views::new(&[Net::CenterFace], Scale::Double, QUARTERS),
    Views::new(&[Net::CenterFace], Scale::Half, QUARTERS),
];

/// Key frames of clips.
pub const KEY: &[Views] = &[Views::new(ALL, Scale::Base, QUARTERS)];

/// The part of it that costs a seventh, for key frames in which the other network looks in some headings only.
pub const CHEAP: &[Views] = &[Views::new(&[Net::YuNet], Scale::Base, QUARTERS)];

/// With one network more scales have to make up for the other.
pub const YUNET_ALONE: &[Views] = &[
    Views::new(&[Net::YuNet], Scale::Half, QUARTERS),
    Views::new(&[Net::YuNet, Net::Seeta], Scale::Base, QUARTERS),
    Views::new(&[Net::YuNet], Scale::Double, QUARTERS),
    Views::new(&[Net::YuNet], Scale::Fine, QUARTERS),
];

pub const CENTERFACE_ALONE: &[Views] = &[
    Views::new(&[Net::CenterFace], Scale::Half, QUARTERS),
    Views::new(&[Net::CenterFace, Net::Seeta], Scale::Base, QUARTERS),
    Views::new(&[Net::CenterFace], Scale::Fine, QUARTERS),
];

/// The one view of a fast look for heads that are turned clockwise by this many quarters.
pub fn glance(net: Net, quarter: u32) -> Views {
    let nets: &'static [Net] = match net {
        Net::YuNet => &[Net::YuNet],
        Net::CenterFace => &[Net::CenterFace],
        Net::Seeta => &[Net::Seeta],
    };
    // The picture is turned back by as much.
    let eighths = [&QUARTERS[..1], &QUARTERS[3..], &QUARTERS[2..3], &QUARTERS[1..2]][quarter as usize % 4];
    Views::new(nets, Scale::Base, eighths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_capped_and_left_out_when_they_show_nothing_new() {
        let side = |scale: Scale, longest: u32| {
            scale.factor(Size::new(longest, 9)).map(|f| (f * longest as f32).round() as u32)
        };
        let table = [
            (1, [Some(1), Some(1), Some(2), None]),
            (500, [Some(250), Some(500), Some(1000), None]),
            (1280, [Some(640), Some(1280), Some(1600), None]),
            (4000, [Some(640), Some(1280), Some(1600), Some(2400)]),
            (20_000, [Some(640), Some(1280), Some(1600), Some(6000)]),
        ];
        for (longest, expected) in table {
            let got = [Scale::Half, Scale::Base, Scale::Double, Scale::Fine].map(|s| side(s, longest));
            assert_eq!(got, expected, "{longest}");
        }
    }
}
