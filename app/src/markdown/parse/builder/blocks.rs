//! Blocks that the events do not name: the paragraphs of tight lists, and the cells that a row of a table lacks.

use super::Builder;
use crate::markdown::node::{Align, Kind, Node};

impl Builder<'_> {
    /// In a tight list, and after a task's box, text is in no paragraph of its own: then it gets one.
    pub(super) fn begin_implied(&mut self, start: usize) {
        let Some(parent) = self.open.last() else {
            return;
        };
        if matches!(parent.kind, Kind::Item(_) | Kind::Footnote(_)) {
            // It begins with the backslash of a first character that is escaped.
            let is_escaped = self.source[..start].ends_with('\\');
            let start = start - usize::from(is_escaped);
            // Its end is not known yet: until then it is where it begins.
            self.open
                .push(Node::new(Kind::Paragraph, start, usize::MAX));
        }
    }

    pub(super) fn end_implied(&mut self) {
        if let Some(node) = self.open.last()
            && node.end == usize::MAX
            && let Some(mut node) = self.open.pop()
        {
            node.end = node.children.last().map_or(self.own.from, |last| last.end);
            self.finish(&mut node);
            self.add(node);
        }
    }

    /// A paragraph right in an item says that the list is loose.
    pub(super) fn mark_loose(&mut self) {
        if let [.., list, item] = self.open.as_mut_slice()
            && matches!(item.kind, Kind::Item(_))
            && let Kind::List { loose, .. } = &mut list.kind
        {
            *loose = true;
        }
    }

    pub(super) fn next_cell(&self) -> Kind {
        let row = self.open.last();
        let column = row.map_or(0, |row| row.children.len());
        Kind::Cell {
            align: self.columns.get(column).copied().unwrap_or(Align::Natural),
            is_head: row.is_some_and(|row| row.kind == Kind::TableHead),
        }
    }

    /// Adds a row to the body of the table that is open, which begins with its first row.
    pub(super) fn add_row(&mut self, row: Node) {
        let Some(table) = self.open.last_mut() else {
            return;
        };
        if row.end <= self.own.from {
            return;
        }
        let row = Node {
            end: row.end.min(self.own.to),
            ..row
        };
        match table.children.last_mut() {
            Some(body) if body.kind == Kind::TableBody => {
                body.end = row.end;
                body.children.push(row);
            }
            _ => {
                // It begins with the table, as the element that shows it does.
                let mut body = Node::new(Kind::TableBody, table.start, row.end);
                body.children.push(row);
                table.children.push(body);
            }
        }
    }
}
