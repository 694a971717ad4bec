//! Cards, pages, badges and passports: what is printed together, its outline, and what on it has to be hidden beside
//! the lines of text. They are told by their print (lines that lie together, a portrait among them, machine-readable
//! lines), not by a network.

use super::code::gray;
use super::document_edges::outline;
use super::document_fields::inside;
use super::document_groups::{Group, groups};
use crate::error::Result;
use crate::infer::prep::scaled_down;
use crate::types::detection::{Class, Detection};
use crate::types::frame::Picture;
use crate::types::geometry::{Margins, Quad};

/// Longest side of the picture that outlines are looked for in.
const OUTLINE_SIDE: u32 = 900;
/// Longest side of the picture that fields are looked for in.
const FIELDS_SIDE: u32 = 2400;
/// Lines from which something with a portrait, and from which something without one may be a document.
const LINES_WITH_PORTRAIT: usize = 3;
const LINES_ALONE: usize = 4;
/// Seen edges that make a document of lines without a portrait.
const EDGES_ALONE: usize = 3;
/// Least share of the outline that the lines of such a document span.
const SPANNED: f32 = 0.15;
/// Seen edges of something with a portrait, least share of the outline that its lines cover, and how many of the lines
/// stand in columns: people before a wall with writing have none of it.
const EDGES_WITH_PORTRAIT: usize = 2;
const PRINTED: f32 = 0.06;
const IN_COLUMNS: usize = 3;
/// Growth of an outline that is hidden as a whole, beside that of every mask: with all edges seen, and without.
const MARGIN_SEEN: f32 = 0.0;
const MARGIN_UNSEEN: f32 = 0.06;
/// Documents are not scored by a network: what makes one is there or not.
const SCORE: f32 = 0.9;

/// A document; display space.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Around all of it, with a margin where its edges were not seen.
    pub quad: Quad,
    /// Its inside could be read well enough for `fields` to be all that has to be hidden beside lines of text.
    pub is_readable: bool,
    /// Portraits, signatures and the like; lines that are longer than what is written.
    pub fields: Vec<Quad>,
}

/// What becomes of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Documents {
    /// What is filled in is hidden, the blank form stays; what can't be read is hidden as a whole.
    #[default]
    Fields,
    /// All of a document is hidden.
    Whole,
    Off,
}

impl Documents {
    /// What has to be hidden beside the text.
    pub fn hidden(self, found: &[Document]) -> Vec<Detection> {
        let detection = |quad: Quad| Detection { class: Class::Document, quad, score: SCORE, landmarks: None };
        let hidden = |d: &Document| match self {
            Documents::Off => Vec::new(),
            Documents::Fields if d.is_readable => d.fields.clone(),
            Documents::Fields | Documents::Whole => vec![d.quad],
        };
        found.iter().flat_map(hidden).map(detection).collect()
    }
}

/// The documents in a picture with these lines of text and heads (display space).
pub fn documents(picture: &Picture, found: &[Detection]) -> Result<Vec<Document>> {
    let of = |class: Class| found.iter().filter(move |d| d.class == class).map(|d| d.quad).collect::<Vec<Quad>>();
    let candidates: Vec<Group> = groups(&of(Class::Text), &of(Class::Face))
        .into_iter()
        .filter(|g| {
            g.mrz.is_some() || g.lines.len() >= if g.heads.is_empty() { LINES_ALONE } else { LINES_WITH_PORTRAIT }
        })
        .collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let codes = of(Class::Code);
    let (coarse, fine) = (scaled_down(picture, OUTLINE_SIDE)?.picture, scaled_down(picture, FIELDS_SIDE)?.picture);
    let (coarse_gray, fine_gray) = (gray(&coarse), gray(&fine));
    let mut documents = Vec::new();
    for group in candidates {
        let small = scaled(&group, 1.0 / coarse.display_from_picture);
        let outline = outline(&coarse_gray, coarse.size, &small);
        let spanned = small.content().area() / outline.quad.area().max(1.0);
        let printed = small.lines.iter().map(Quad::area).sum::<f32>() / outline.quad.area().max(1.0);
        let edges = if group.heads.is_empty() { EDGES_ALONE } else { EDGES_WITH_PORTRAIT };
        let is_page = spanned >= SPANNED || !group.heads.is_empty() && printed >= PRINTED;
        let is_set = outline.seen >= edges && is_page && group.in_columns() >= IN_COLUMNS;
        if group.mrz.is_none() && !is_set {
            continue;
        }
        let quad = outline.quad.scaled(coarse.display_from_picture);
        let scale = fine.display_from_picture;
        let in_fine = |quads: &[Quad]| quads.iter().map(|q| q.scaled(1.0 / scale)).collect::<Vec<Quad>>();
        let (outline_fine, group_fine) = (quad.scaled(1.0 / scale), scaled(&group, 1.0 / scale));
        let inside = inside(&fine_gray, fine.size, &outline_fine, &group_fine, &in_fine(&codes), scale);
        let margin = if outline.seen == 4 { MARGIN_SEEN } else { MARGIN_UNSEEN };
        documents.push(Document {
            // A rectangle: masks grow as rectangles, and no corner may be left outside.
            quad: Quad::around(&quad.corners, quad.angle_rad()).grown(Margins::even(margin)),
            is_readable: inside.is_readable,
            fields: inside.fields.iter().map(|f| f.scaled(scale)).collect(),
        });
    }
    Ok(documents)
}

fn scaled(group: &Group, factor: f32) -> Group {
    let all = |quads: &[Quad]| quads.iter().map(|q| q.scaled(factor)).collect();
    Group {
        lines: all(&group.lines),
        heads: all(&group.heads),
        mrz: group.mrz.map(|q| q.scaled(factor)),
        angle_rad: group.angle_rad,
    }
}
