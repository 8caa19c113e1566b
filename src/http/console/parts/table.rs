//! Tables. On a narrow screen each row becomes a card, in which every cell says what it is.

use maud::{Markup, html};

use super::nothing;

/// A column.
#[derive(Debug, Clone)]
pub struct Column<'a> {
    name: &'a str,
    head: Option<Markup>,
    is_number: bool,
    sorted: Option<&'static str>,
}

impl<'a> Column<'a> {
    /// Of text.
    pub const fn new(name: &'a str) -> Self {
        Self {
            name,
            head: None,
            is_number: false,
            sorted: None,
        }
    }

    /// Of numbers, which stand under each other.
    pub const fn number(name: &'a str) -> Self {
        let mut column = Self::new(name);
        column.is_number = true;
        column
    }

    /// With another head than its name, such as a link that sorts by it.
    #[must_use]
    pub fn headed(mut self, head: Markup) -> Self {
        self.head = Some(head);
        self
    }

    /// By which the table is sorted: `ascending` or `descending`.
    #[must_use]
    pub const fn sorted(mut self, direction: &'static str) -> Self {
        self.sorted = Some(direction);
        self
    }
}

/// A table. `caption`: what it lists, for whoever does not see the heading above it. A cell for each column in each row.
pub fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table.stack {
            caption.unseen { (caption) }
            thead {
                tr {
                    @for column in columns {
                        th scope="col" class=[column.is_number.then_some("number")] aria-sort=[column.sorted] {
                            @match &column.head {
                                Some(head) => (head),
                                None => (column.name),
                            }
                        }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        @for (cell, column) in row.iter().zip(columns) {
                            td data-label=(column.name) class=[column.is_number.then_some("number")] { (cell) }
                        }
                    }
                }
            }
        }
    }
}

/// A table, or where it has no rows what would stand in it, and what somebody could do for it.
pub fn table_or(
    caption: &str,
    columns: &[Column<'_>],
    rows: &[Vec<Markup>],
    none: &str,
    hint: &Markup,
) -> Markup {
    if rows.is_empty() {
        nothing(none, hint)
    } else {
        table(caption, columns, rows)
    }
}

/// Leads to the page after this one. `next`: its address; `first`: that of the first page, where this is another one.
pub fn pager(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label="Pages" {
                @if let Some(first) = first {
                    a.button href=(first) { "First page" }
                }
                @if let Some(next) = next {
                    a.button href=(next) rel="next" { "Next page" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_says_what_it_is() {
        let columns = [Column::new("System"), Column::number("Open").sorted("descending")];
        let rows = [vec![html! { "crm" }, html! { "3" }]];
        let shown = table("Systems", &columns, &rows).into_string();
        assert!(shown.contains("<td data-label=\"System\">crm</td>"), "{shown}");
        assert!(
            shown.contains("<td data-label=\"Open\" class=\"number\">3</td>"),
            "{shown}"
        );
        assert!(shown.contains("aria-sort=\"descending\""), "{shown}");
    }
}
