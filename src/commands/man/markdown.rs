//! PURE. The Markdown of docs/ as man(7): headings, paragraphs, lists, code, links, and tables, of which each row
//! becomes a tagged paragraph.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Where a link leads for a reader of man pages; `None`: nowhere.
pub type Link<'l> = &'l dyn Fn(&str) -> Option<String>;

/// The text under a heading of the second level, up to the next one.
pub fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let begin = format!("\n## {heading}\n");
    let Some(start) = text.find(&begin).map(|place| place + begin.len()) else {
        return "";
    };
    let rest = &text[start..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

/// Appends the text. Its title, a heading of the first level, is left out.
pub fn write(roff: &mut Roff, text: &str, link: Link<'_>) {
    let mut writer = Writer {
        roff,
        link,
        line: Vec::new(),
        font: Font::Roman,
        link_to: None,
        in_title: false,
        in_code: false,
        in_item: false,
        lists: Vec::new(),
        head: Vec::new(),
        cells: Vec::new(),
    };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        writer.event(event);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Font {
    Roman,
    Bold,
    Italic,
}

struct Writer<'w> {
    roff: &'w mut Roff,
    link: Link<'w>,
    line: Vec<Inline>,
    font: Font,
    link_to: Option<String>,
    in_title: bool,
    in_code: bool,
    /// The next paragraph stands behind a list's mark.
    in_item: bool,
    /// The next number of each list that is open; `None` for bullets.
    lists: Vec<Option<u64>>,
    head: Vec<Vec<Inline>>,
    cells: Vec<Vec<Inline>>,
}

impl Writer<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => {
                for line in text.lines() {
                    self.roff.text([roman(line)]);
                }
            }
            Event::Text(text) => self.push(&text),
            Event::Code(text) => self.line.push(bold(text.to_string())),
            Event::SoftBreak | Event::HardBreak => self.push(" "),
            // None of these stands in docs/.
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::Rule
            | Event::TaskListMarker(_) => {}
        }
    }

    fn push(&mut self, text: &str) {
        let text = text.to_owned();
        self.line.push(match self.font {
            Font::Roman => roman(text),
            Font::Bold => bold(text),
            Font::Italic => italic(text),
        });
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.roff.text(line);
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.in_title = level as u8 == 1,
            Tag::Paragraph if self.in_item => self.in_item = false,
            Tag::Paragraph => {
                self.roff.control("PP", []);
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.roff.control("PP", []);
                self.roff.control("RS", ["4"]);
                self.roff.control("nf", []);
                self.in_code = true;
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    _ => "\\(bu".to_owned(),
                };
                self.roff.control("IP", [mark.as_str(), "4"]);
                self.in_item = true;
            }
            Tag::Strong => self.font = Font::Bold,
            Tag::Emphasis => self.font = Font::Italic,
            Tag::Link { dest_url, .. } => self.link_to = (self.link)(&dest_url),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let heading: String = std::mem::take(&mut self.line)
                    .iter()
                    .map(|part| match part {
                        Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => {
                            text.as_str()
                        }
                        Inline::LineBreak => " ",
                    })
                    .collect();
                match level as u8 {
                    1 => self.in_title = false,
                    2 => {
                        let heading = heading.to_uppercase();
                        self.roff.control("SH", [heading.as_str()]);
                    }
                    _ => {
                        self.roff.control("SS", [heading.as_str()]);
                    }
                }
            }
            TagEnd::Paragraph => self.flush(),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.roff.control("fi", []);
                self.roff.control("RE", []);
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Item => {
                self.flush();
                self.in_item = false;
            }
            TagEnd::Strong | TagEnd::Emphasis => self.font = Font::Roman,
            TagEnd::Link => {
                if let Some(to) = self.link_to.take() {
                    self.line.push(roman(format!(" ({to})")));
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                self.cells.push(cell);
            }
            TagEnd::TableHead => self.head = std::mem::take(&mut self.cells),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    /// `key | meaning | left out` becomes the key, and under it the meaning and what holds where it is left out.
    fn row(&mut self) {
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        self.roff.control("TP", []);
        self.roff.text(cells.next().unwrap_or_default());
        for (place, cell) in cells.enumerate() {
            if cell.is_empty() {
                continue;
            }
            let mut line = Vec::new();
            if place > 0 {
                self.roff.control("br", []);
                line.extend(self.head.get(place + 1).into_iter().flatten().cloned());
                line.push(roman(": "));
            }
            line.extend(cell);
            self.roff.text(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roff(text: &str) -> String {
        let mut roff = Roff::new();
        write(&mut roff, text, &|to| {
            (to == "b.md").then(|| "b(5)".to_owned())
        });
        roff.to_roff()
    }

    #[test]
    fn each_form_has_its_macro() {
        assert_eq!(
            roff("# Title\n\nOne `code` and **bold**, [there](b.md).\n\n## Next\n\n.dot\n"),
            ".PP\nOne \\fBcode\\fR and \\fBbold\\fR, there (b(5)).\n.SH NEXT\n.PP\n\\&.dot\n"
        );
        assert_eq!(
            roff("    a -b\n    'c\n"),
            ".PP\n.RS 4\n.nf\na \\-b\n\\&'c\n.fi\n.RE\n"
        );
        assert_eq!(roff("1. one\n2. two\n"), ".IP 1. 4\none\n.IP 2. 4\ntwo\n");
        assert_eq!(
            roff("| key | meaning | left out |\n| - | - | - |\n| `a` | it | 5m |\n| b | it | |\n"),
            ".TP\n\\fBa\\fR\nit\n.br\nleft out: 5m\n.TP\nb\nit\n"
        );
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# T\n\n## A\n\none\n\n## B\n\ntwo\n";
        assert_eq!(section(text, "A"), "\none\n");
        assert_eq!(section(text, "B"), "\ntwo\n");
        assert_eq!(section(text, "C"), "");
    }
}
