//! XMP (ISO 16684-1): which of the known properties a packet has. It is searched, not parsed: prefixes and nesting vary,
//! local names do not.

use super::Findings;
use super::tags::Carrier;
use crate::types::finding::Rule;

/// Local names of properties by class.
const PROPERTIES: [(Rule, &[&str]); 9] = [
    (
        Rule::MetadataLocation,
        &[
            "GPSLatitude",
            "GPSLongitude",
            "GPSAltitude",
            "GPSMapDatum",
            "GPSVersionID",
            "City",
            "State",
            "Country",
            "CountryCode",
            "Location",
            "LocationCreated",
            "LocationShown",
            "Sublocation",
            "ProvinceState",
        ],
    ),
    (
        Rule::MetadataDevice,
        &[
            "Make",
            "Model",
            "SerialNumber",
            "Lens",
            "LensInfo",
            "LensID",
            "LensModel",
            "BodySerialNumber",
            "Firmware",
            "DocumentID",
            "InstanceID",
            "OriginalDocumentID",
        ],
    ),
    (
        Rule::MetadataTime,
        &[
            "CreateDate",
            "ModifyDate",
            "MetadataDate",
            "DateCreated",
            "DateTimeOriginal",
            "DateTimeDigitized",
            "DateTime",
            "GPSTimeStamp",
            "when",
            "DateAcquired",
        ],
    ),
    (
        Rule::MetadataPerson,
        &[
            "creator",
            "rights",
            "Credit",
            "CreatorContactInfo",
            "OwnerName",
            "CameraOwnerName",
            "Artist",
            "Copyright",
            "PersonInImage",
            "PersonDisplayName",
            "RegionInfo",
            "Regions",
            "AuthorsPosition",
            "CaptionWriter",
            "LastKeywordXMP",
            "UsageTerms",
            "Owner",
            "publisher",
            "contributor",
        ],
    ),
    (Rule::MetadataSoftware, &["CreatorTool", "Software", "softwareAgent", "Producer", "ProcessingSoftware"]),
    (Rule::MetadataPreview, &["Thumbnails", "image", "GImage"]),
    (
        Rule::MetadataComment,
        &[
            "description",
            "title",
            "subject",
            "Headline",
            "Keywords",
            "UserComment",
            "ImageDescription",
            "Label",
            "Rating",
            "hierarchicalSubject",
            "Instructions",
            "Source",
            "TransmissionReference",
        ],
    ),
    (Rule::MotionPhoto, &["MotionPhoto", "MicroVideo", "MotionPhotoVersion", "MicroVideoOffset"]),
    (Rule::ExtraPicture, &["Directory", "HDRGainMap", "GDepth", "DepthMap", "Data", "HasExtendedXMP"]),
];

/// Tells what an XMP packet holds.
pub(super) fn tell(packet: &[u8], found: &mut Findings) {
    let mut carrier = Carrier::new("XMP");
    let text = utf8_of(packet);
    for (at, _) in text.iter().enumerate().filter(|(_, b)| **b == b':') {
        let rest = &text[at + 1..];
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let name = &rest[..len];
        // `xmlns:Name=` declares a prefix.
        if text[..at].ends_with(b"xmlns") {
            continue;
        }
        for (rule, names) in PROPERTIES {
            if let Some(known) = names.iter().find(|n| n.as_bytes() == name) {
                carrier.tell(rule, *known);
            }
        }
    }
    carrier.finish(found);
}

/// ASCII of a packet in UTF-8, or in UTF-16 and UTF-32 without their zero bytes.
fn utf8_of(packet: &[u8]) -> Vec<u8> {
    packet.iter().copied().filter(|b| *b != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(packet: &[u8]) -> Vec<Rule> {
        let mut found = Findings::default();
        tell(packet, &mut found);
        found.into_vec().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn properties_are_found_as_elements_and_attributes() {
        let packet = br#"<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><rdf:Description tiff:Make="X" exif:GPSLatitude="1">
            <dc:creator/><GCamera:MotionPhoto>1</GCamera:MotionPhoto></rdf:Description></x:xmpmeta>"#;
        let all = [Rule::MetadataLocation, Rule::MetadataDevice, Rule::MetadataPerson, Rule::MotionPhoto];
        assert_eq!(rules(packet), all);
        let wide: Vec<u8> = packet.iter().flat_map(|b| [0, *b]).collect();
        assert_eq!(rules(&wide), all);
    }

    #[test]
    fn an_empty_packet_is_a_finding() {
        assert_eq!(rules(b"<x:xmpmeta xmlns:Make='a'/>"), [Rule::Metadata]);
    }
}
