//! A bar on a terminal while a file is worked through. Elsewhere it shows nothing.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over so many bytes; without a length, a count that grows.
pub fn over_bytes(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{msg} {bar:32} {bytes}/{total_bytes}, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes}"),
    };
    bar.with_style(style(template))
}

/// A bar over so many subjects.
pub fn over_count(count: u64) -> ProgressBar {
    ProgressBar::new(count).with_style(style(
        "{msg} {bar:32} {human_pos}/{human_len}, {per_sec}, {eta} left",
    ))
}

/// The default style is kept where a template cannot be read, which a test rules out.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [
            "{msg} {bar:32} {bytes}/{total_bytes}, {eta} left",
            "{msg} {spinner} {bytes}",
            "{msg} {bar:32} {human_pos}/{human_len}, {per_sec}, {eta} left",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
