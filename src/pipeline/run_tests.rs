use super::*;

#[test]
fn what_the_encoder_may_have_lost_comes_with_advice() {
    for (rule, is_clip, advice) in [
        (Rule::PictureChanged, true, Some("--crf")),
        (Rule::MaskMissing, true, Some("--crf")),
        (Rule::PictureChanged, false, Some("--quality")),
        (Rule::FrameTable, true, None),
    ] {
        let message = withheld(&Finding::new(rule, Severity::Error, "it differs"), is_clip).message();
        assert!(message.starts_with("withheld: it differs"), "{message}");
        assert_eq!(["--crf", "--quality"].into_iter().find(|flag| message.contains(flag)), advice, "{rule:?}");
    }
}
