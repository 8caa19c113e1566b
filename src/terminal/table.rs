//! Tables for people and for scripts: columns apart by two spaces, nothing drawn.

use comfy_table::{CellAlignment, presets};

/// Lines of columns, as wide as their widest cell.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings, in capitals.
    pub fn new(headings: &[&str]) -> Self {
        Self::headed(headings.iter().map(|heading| heading.to_uppercase()))
    }

    /// A table with these headings, as they are.
    pub fn headed(headings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(headings.into_iter().map(Into::into).collect::<Vec<String>>());
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self(table)
    }

    /// Sets the numbers of these columns, counted from 0, to the right.
    #[must_use]
    pub fn right(mut self, columns: std::ops::Range<usize>) -> Self {
        for column in columns {
            if let Some(column) = self.0.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Adds a row. An empty cell shows as a dash, so that columns can be counted by scripts too.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.0.add_row(cells.into_iter().map(shown).collect::<Vec<_>>());
    }

    /// Its lines.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.lines().map(|line| line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["id", "why"]);
        table.row(["crm-2".to_owned(), String::new()]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["ID     WHY", "crm-2  -"]);
        let mut table = Table::headed(["who", "tasks"]).right(1..2);
        table.row(["Ada".to_owned(), "7".to_owned()]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["who  tasks", "Ada      7"]);
    }
}
