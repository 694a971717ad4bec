//! Motion model of one object: where it will be in the next frame.
//!
//! Method: constant velocity with one small Kalman filter per quantity (centre, logarithm of the sides, angle), moved
//! along with the camera.

use std::f32::consts::{PI, TAU};

use super::motion::Similarity;
use crate::types::geometry::{Point, Quad};

/// Difference of two angles, -pi to pi.
pub fn angle_between(from: f32, to: f32) -> f32 {
    (to - from + PI).rem_euclid(TAU) - PI
}

/// A value with its velocity per frame and their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    value: f32,
    velocity: f32,
    /// Variance of the value, covariance, variance of the velocity.
    p: [f32; 3],
}

impl Axis {
    fn new(value: f32, noise: f32, velocity_noise: f32) -> Axis {
        Axis { value, velocity: 0.0, p: [noise * noise, 0.0, velocity_noise * velocity_noise] }
    }

    /// One frame on; `q` is the standard deviation of the change of velocity.
    fn predict(&mut self, q: f32) {
        self.value += self.velocity;
        let [a, b, c] = self.p;
        self.p = [a + 2.0 * b + c + q * q / 4.0, b + c + q * q / 2.0, c + q * q];
    }

    /// A measurement that is `innovation` off the value, of standard deviation `r`.
    fn correct(&mut self, innovation: f32, r: f32) {
        let [a, b, c] = self.p;
        let s = a + r * r;
        let (gain, velocity_gain) = (a / s, b / s);
        self.value += gain * innovation;
        self.velocity += velocity_gain * innovation;
        self.p = [a * (1.0 - gain), b * (1.0 - gain), c - velocity_gain * b];
    }
}

/// Filter over a quad taken as a turned rectangle; display space, unit of time is a frame.
#[derive(Clone, Debug)]
pub struct MotionFilter {
    x: Axis,
    y: Axis,
    log_width: Axis,
    log_height: Axis,
    angle: Axis,
}

/// Growth of doubt of the logarithm of a side and of the angle, per frame.
const SIZE_DRIFT: f32 = 0.01;
const ANGLE_DRIFT: f32 = 0.02;
/// A measured angle further off than this is another orientation found, not a turn.
const ANGLE_JUMP: f32 = 1.0;

impl MotionFilter {
    pub fn new(quad: &Quad) -> MotionFilter {
        let (c, w, h) = (quad.center(), quad.width().max(1.0), quad.height().max(1.0));
        let side = (w * h).sqrt();
        MotionFilter {
            x: Axis::new(c.x, 0.05 * side, 0.15 * side),
            y: Axis::new(c.y, 0.05 * side, 0.15 * side),
            log_width: Axis::new(w.ln(), 0.08, 0.02),
            log_height: Axis::new(h.ln(), 0.08, 0.02),
            angle: Axis::new(quad.angle_rad(), 0.1, 0.03),
        }
    }

    fn side(&self) -> f32 {
        ((self.log_width.value + self.log_height.value) / 2.0).exp()
    }

    /// One frame on, the camera having moved by `camera`.
    pub fn predict(&mut self, camera: &Similarity) {
        let q = 0.03 * self.side();
        self.x.predict(q);
        self.y.predict(q);
        self.log_width.predict(SIZE_DRIFT);
        self.log_height.predict(SIZE_DRIFT);
        self.angle.predict(ANGLE_DRIFT);
        // Sizes never run away over a long gap.
        self.log_width.velocity *= 0.9;
        self.log_height.velocity *= 0.9;
        self.angle.velocity *= 0.9;
        let p = camera.apply(Point::new(self.x.value, self.y.value));
        let (vx, vy) = (self.x.velocity, self.y.velocity);
        (self.x.value, self.y.value) = (p.x, p.y);
        self.x.velocity = camera.a * vx - camera.b * vy;
        self.y.velocity = camera.b * vx + camera.a * vy;
        let scale = camera.scale().ln();
        self.log_width.value += scale;
        self.log_height.value += scale;
        self.angle.value += camera.angle_rad();
    }

    /// Slows down: an object that is not seen does not keep its speed for long.
    pub fn damp(&mut self) {
        self.x.velocity *= 0.9;
        self.y.velocity *= 0.9;
    }

    /// Takes in a measured place; `doubt` multiplies the noise (1 for a firm detection).
    pub fn correct(&mut self, quad: &Quad, doubt: f32) {
        let (c, w, h) = (quad.center(), quad.width().max(1.0), quad.height().max(1.0));
        let r = 0.05 * self.side() * doubt;
        self.x.correct(c.x - self.x.value, r);
        self.y.correct(c.y - self.y.value, r);
        self.log_width.correct(w.ln() - self.log_width.value, 0.08 * doubt);
        self.log_height.correct(h.ln() - self.log_height.value, 0.08 * doubt);
        let turn = angle_between(self.angle.value, quad.angle_rad());
        if turn.abs() > ANGLE_JUMP {
            self.angle = Axis::new(quad.angle_rad(), 0.1, 0.03);
            self.log_width = Axis::new(w.ln(), 0.08, 0.02);
            self.log_height = Axis::new(h.ln(), 0.08, 0.02);
        } else {
            self.angle.correct(turn, 0.1 * doubt);
        }
    }

    /// Expected place.
    pub fn quad(&self) -> Quad {
        // Sides beyond any picture would only carry infinities on.
        let side = |log: f32| log.clamp(0.0, 11.0).exp();
        let center = Point::new(self.x.value, self.y.value);
        Quad::rotated_rect(center, side(self.log_width.value), side(self.log_height.value), self.angle.value)
    }

    /// Own velocity (without the camera's), display pixels per frame.
    pub fn velocity(&self) -> Point {
        Point::new(self.x.velocity, self.y.velocity)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steady_motion_is_learned() {
        let at = |k: f32| Quad::rotated_rect(Point::new(100.0 + 9.0 * k, 80.0 - 4.0 * k), 60.0, 80.0, 0.02 * k);
        let mut filter = MotionFilter::new(&at(0.0));
        for k in 1..15 {
            filter.predict(&Similarity::IDENTITY);
            filter.correct(&at(k as f32), 1.0);
        }
        filter.predict(&Similarity::IDENTITY);
        assert!(filter.quad().iou(&at(15.0)) > 0.9);
        assert!((filter.velocity().x - 9.0).abs() < 1.0);
    }

    #[test]
    fn the_camera_moves_the_prediction() {
        let quad = Quad::rotated_rect(Point::new(300.0, 200.0), 60.0, 80.0, 0.0);
        let mut filter = MotionFilter::new(&quad);
        let camera = Similarity { a: 1.02, b: 0.05, tx: 30.0, ty: -10.0 };
        filter.predict(&camera);
        assert!(filter.quad().iou(&camera.apply_quad(&quad)) > 0.97);
    }

    #[test]
    fn another_orientation_replaces_the_angle() {
        let quad = Quad::rotated_rect(Point::new(300.0, 200.0), 60.0, 80.0, 0.0);
        let mut filter = MotionFilter::new(&quad);
        filter.predict(&Similarity::IDENTITY);
        let lying = Quad::rotated_rect(Point::new(300.0, 200.0), 60.0, 80.0, 1.57);
        filter.correct(&lying, 1.0);
        assert!(filter.quad().iou(&lying) > 0.9);
    }

    proptest! {
        #[test]
        fn angles_differ_by_half_a_turn_at_most(a in -20f32..20.0, b in -20f32..20.0) {
            let d = angle_between(a, b);
            prop_assert!(d.abs() <= PI + 1e-4);
            prop_assert!(((a + d - b) / TAU - ((a + d - b) / TAU).round()).abs() < 1e-4);
        }
    }
}
