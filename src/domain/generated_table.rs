//! Tables in the documentation that are made from the code: a test finds them changed where the code has changed.

/// Compares a file below `src/domain` with what the code says; `LACUNA_BLESS=1` writes it.
pub(super) fn check(file: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/domain")
        .join(file);
    if std::env::var_os("LACUNA_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == text,
        "src/domain/{file} has drifted: LACUNA_BLESS=1 cargo test transitions"
    );
}

/// A table in Markdown, its columns aligned.
pub(super) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let below = rows.iter().map(|row| row[column].chars().count());
        below.max().unwrap_or_default().max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!(" {cell:width$} |"));
        format!("|{}\n", cells.collect::<String>())
    };
    let rule: String = widths
        .iter()
        .map(|width| format!("{}|", "-".repeat(width + 2)))
        .collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("{}|{rule}\n{body}", line(head))
}
