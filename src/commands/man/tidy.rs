//! PURE. Roff as a careful person would write it, so that `mandoc -T lint` has nothing to warn of.

/// No text is longer than this, where it can be broken.
const WIDEST: usize = 80;

/// What every piece of roff begins with; once is enough.
const PREAMBLE: [&str; 2] = [r".ie \n(.g .ds Aq \(aq", ".el .ds Aq '"];

/// Without repetitions, empty lines and breaks that do nothing; text broken at the width of a terminal.
pub fn tidied(roff: &str) -> String {
    let mut lines: Vec<String> = PREAMBLE.iter().map(ToString::to_string).collect();
    let mut as_it_is = false;
    let mut is_tag = false;
    for line in roff.lines() {
        let line = line.trim_end();
        if PREAMBLE.contains(&line) {
            continue;
        }
        let last = lines.last().map_or("", String::as_str);
        let needless = match line {
            "" => !as_it_is,
            ".br" => last == ".br" || last.is_empty(),
            ".PP" => last.starts_with(".SH") || last.starts_with(".SS"),
            _ => false,
        };
        if needless {
            continue;
        }
        match line {
            ".nf" => as_it_is = true,
            ".fi" => as_it_is = false,
            _ => {}
        }
        if as_it_is || is_tag || line.starts_with('.') {
            lines.push(line.to_owned());
        } else {
            broken(line, &mut lines);
        }
        // Commands are not to be hyphenated, nor blown up.
        if line.starts_with(".TH ") {
            lines.extend([".nh".to_owned(), ".ad l".to_owned()]);
        }
        is_tag = line == ".TP";
    }
    lines.join("\n") + "\n"
}

fn broken(text: &str, lines: &mut Vec<String>) {
    let mut line = String::new();
    for word in text.split(' ') {
        // A line that begins so would be an order.
        let may_begin = !word.starts_with(['.', '\'']) && !word.is_empty();
        if !line.is_empty() && may_begin && line.len() + 1 + word.len() > WIDEST {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(roff: &str) -> String {
        let text = tidied(roff);
        text.lines().skip(2).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn nothing_is_said_twice() {
        let preamble = PREAMBLE.join("\n");
        let roff = format!("{preamble}\n.SH A\n{preamble}\n.PP\none \n.br\n\n.br\ntwo\n");
        assert_eq!(body(&roff), ".SH A\none\n.br\ntwo");
    }

    #[test]
    fn text_is_broken_and_code_and_tags_are_not() {
        let long = "word ".repeat(30);
        let text = body(&format!("{long}\n.TP\n{long}\n.nf\n{long}\n\nx\n.fi\n"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].len() <= WIDEST && lines[1].len() <= WIDEST);
        let whole = lines.iter().filter(|line| **line == long.trim()).count();
        assert_eq!(whole, 2, "{text}");
        assert!(lines.contains(&""), "{text}");
        let dots = body(&".x ".repeat(60));
        assert_eq!(dots.lines().count(), 1, "a line must not begin with a dot");
    }
}
