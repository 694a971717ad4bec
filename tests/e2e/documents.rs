//! Flags for documents and text that contradict each other.

use crate::common::Scratch;

#[test]
fn flags_that_would_leave_text_on_documents_are_refused() {
    let scratch = Scratch::new();
    scratch.photo("photo.png");
    for words in ["--text none", "--text documents --documents off"] {
        let call = format!("redact photo.png -o out {words}");
        scratch.withhold(call.split(' ')).ends_with(2).tells(&["--documents"]);
    }
}
