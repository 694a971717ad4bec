//! A made-up world for tests: a textured plane with textured objects on it, seen by a moving camera.

use super::luma::Luma;
use crate::types::geometry::{Point, Quad, Size};

/// Display size of every test picture.
pub const DISPLAY: Size = Size::new(1280, 720);
const CENTER: Point = Point::new(640.0, 360.0);

/// Where the camera is and how it is turned; the default sees display space as world space.
#[derive(Clone, Copy, Debug)]
pub struct Camera {
    pub x: f32,
    pub y: f32,
    pub zoom: f32,
    pub roll_rad: f32,
}

impl Default for Camera {
    fn default() -> Self {
        Camera { x: 0.0, y: 0.0, zoom: 1.0, roll_rad: 0.0 }
    }
}

impl Camera {
    pub fn display_from_world(&self, p: Point) -> Point {
        let (s, c) = self.roll_rad.sin_cos();
        let (x, y) = (p.x - CENTER.x - self.x, p.y - CENTER.y - self.y);
        Point::new(CENTER.x + self.zoom * (x * c - y * s), CENTER.y + self.zoom * (x * s + y * c))
    }

    pub fn world_from_display(&self, p: Point) -> Point {
        let (s, c) = self.roll_rad.sin_cos();
        let (x, y) = ((p.x - CENTER.x) / self.zoom, (p.y - CENTER.y) / self.zoom);
        Point::new(CENTER.x + self.x + x * c + y * s, CENTER.y + self.y - x * s + y * c)
    }
}

/// An object: its quad in world space and the seed of its look.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    pub quad: Quad,
    pub seed: u32,
}

pub struct World {
    seed: u32,
}

fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h =
        (x as u32).wrapping_mul(0x85eb_ca6b) ^ (y as u32).wrapping_mul(0xc2b2_ae35) ^ seed.wrapping_mul(747_796_405);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h & 0xffff) as f32 / 65535.0
}

/// Value noise, 0 to 1, of the given cell size.
fn noise(p: Point, cell: f32, seed: u32) -> f32 {
    let (x, y) = (p.x / cell, p.y / cell);
    let (x0, y0) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (smooth(x - x0), smooth(y - y0));
    let at = |dx: i32, dy: i32| hash(x0 as i32 + dx, y0 as i32 + dy, seed);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    top + (bottom - top) * fy
}

impl World {
    pub fn new(seed: u32) -> World {
        World { seed }
    }

    fn brightness(&self, p: Point, actors: &[Actor]) -> f32 {
        for actor in actors.iter().rev() {
            if actor.quad.contains(p) {
                let c = &actor.quad.corners;
                let (w, h) = (actor.quad.width().max(1.0), actor.quad.height().max(1.0));
                let along = |a: Point, b: Point, len: f32| {
                    ((p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y)) / (len * len)
                };
                let local = Point::new(along(c[0], c[1], w), along(c[0], c[3], h));
                return 60.0 + 150.0 * noise(local, 0.22, actor.seed);
            }
        }
        30.0 + 120.0 * noise(p, 90.0, self.seed) + 70.0 * noise(p, 24.0, self.seed + 1)
    }

    /// What the camera sees, at a quarter of display size.
    pub fn luma(&self, camera: &Camera, actors: &[Actor]) -> Luma {
        let size = Size::new(DISPLAY.width / 4, DISPLAY.height / 4);
        let mut data = Vec::with_capacity(size.pixels() as usize);
        for y in 0..size.height {
            for x in 0..size.width {
                let display = Point::new((x as f32 + 0.5) * 4.0, (y as f32 + 0.5) * 4.0);
                data.push(self.brightness(camera.world_from_display(display), actors) as u8);
            }
        }
        Luma { size, data, display_from_luma: 4.0 }
    }
}
