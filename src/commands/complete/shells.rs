//! PURE. The script that each shell loads, how each hands the line over, and how each wants the answer.

use std::ffi::OsString;

use clap_complete::Shell;

use super::line::{Line, Quote, quoted};
use super::{End, Offer};

/// Bash splits words at colons. So it hands over the whole line, and what it takes for the word that is being typed.
const BASH: &str = r#"# bash completion for jit; made by: jit completions bash
_jit() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        COMPREPLY+=("$reply")
    done < <(jit complete bash -- "$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o nospace -o nosort -F _jit jit 2>/dev/null || complete -o nospace -F _jit jit
"#;

const ZSH: &str = r#"#compdef jit
# zsh completion for jit; made by: jit completions zsh
_jit() {
    local line value
    local -a field words_ended words_open words_listed shown_ended shown_open shown_listed
    for line in "${(@f)$(jit complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        field=("${(@s:	:)line}")
        (( ${#field} == 3 )) || continue
        value=$field[2]
        case $field[1] in
            word) words_ended+=("$value"); shown_ended+=("$field[3]") ;;
            open) words_open+=("$value"); shown_open+=("$field[3]") ;;
            list) words_listed+=("$value"); shown_listed+=("$field[3]") ;;
        esac
    done
    # A comma takes the space away; in quotes there is none.
    local ret=1 gap=' '
    [[ -z $QIPREFIX ]] || gap=''
    (( $#words_ended )) && compadd -l -V jit-word -d shown_ended -a words_ended && ret=0
    (( $#words_open )) && compadd -l -V jit-open -d shown_open -S '' -a words_open && ret=0
    (( $#words_listed )) && compadd -l -V jit-list -d shown_listed -S "$gap" -r ',' -a words_listed && ret=0
    return ret
}
if [[ $funcstack[1] == _jit ]]; then
    _jit "$@"
else
    compdef _jit jit
fi
"#;

const FISH: &str = r#"# fish completion for jit; made by: jit completions fish
complete --command jit --no-files --keep-order --arguments '(jit complete fish -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor) 2>/dev/null)'
"#;

const ELVISH: &str = r#"# elvish completion for jit; made by: jit completions elvish
use str
set edit:completion:arg-completer[jit] = {|@words|
    jit complete elvish -- $@words 2>/dev/null | from-lines | each {|line|
        var kind value shown = (str:split "\t" $line)
        var suffix = ''
        if (eq $kind word) { set suffix = ' ' }
        edit:complex-candidate $value &code-suffix=$suffix &display=$shown
    }
}
"#;

/// Every word goes over with a full stop behind it: older PowerShells drop empty arguments.
const POWERSHELL: &str = r#"# PowerShell completion for jit; made by: jit completions powershell
Register-ArgumentCompleter -Native -CommandName jit -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text + '.' })
    $words += $wordToComplete + '.'
    & jit complete powershell -- @words 2>$null | ForEach-Object {
        $value, $help = $_.Split("`t", 2)
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
"#;

/// What `jit completions SHELL` prints.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        Shell::Elvish => ELVISH,
        Shell::PowerShell => POWERSHELL,
        // And what a later clap may know besides: most shells read bash's.
        _ => BASH,
    }
}

/// The line, as that shell hands it over.
pub fn read(shell: Shell, words: &[OsString]) -> Line {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match shell {
        Shell::Bash => {
            let (text, line) = match words.as_slice() {
                [text, line] => (text.as_str(), line.as_str()),
                _ => ("", ""),
            };
            of_bash(text, line)
        }
        // Fish unquotes all but the last word, the others all of them.
        Shell::Fish => {
            let mut line = plain(words);
            if let Some(last) = line.words.pop() {
                line.words.extend(Line::of_words(&[last]).words);
            }
            line
        }
        Shell::PowerShell => {
            let words: Vec<String> = words
                .iter()
                .map(|word| word.strip_suffix('.').unwrap_or(word).to_owned())
                .collect();
            Line::of_words(&words)
        }
        _ => plain(words),
    }
}

fn plain(words: Vec<String>) -> Line {
    Line {
        words,
        quote: Quote::None,
        kept: 0,
    }
}

fn of_bash(text: &str, line: &str) -> Line {
    let mut line = Line::split(line);
    let current = line.current();
    let unquoted = Line::of_words(&[text.to_owned()]);
    // Inside quotes the text is as it is.
    let replaced = if current.ends_with(text) {
        text
    } else {
        unquoted.current()
    };
    let kept = current.strip_suffix(replaced).unwrap_or("");
    line.kept = kept.chars().count();
    line
}

/// What that shell reads.
pub fn print(shell: Shell, line: &Line, offers: &[Offer]) -> String {
    let lines: Vec<String> = match shell {
        Shell::Bash => offers.iter().map(|offer| for_bash(line, offer)).collect(),
        Shell::Fish | Shell::PowerShell => offers
            .iter()
            .map(|offer| {
                if offer.help.is_empty() {
                    offer.value.clone()
                } else {
                    format!("{}\t{}", offer.value, offer.help)
                }
            })
            .collect(),
        _ => with_kinds(offers),
    };
    lines.join("\n")
}

fn for_bash(line: &Line, offer: &Offer) -> String {
    let rest: String = offer.value.chars().skip(line.kept).collect();
    // A quote that is open is closed by bash, which then makes the space, too.
    let space = match (offer.end, line.quote) {
        (End::Word, Quote::None) => " ",
        _ => "",
    };
    format!("{}{space}", quoted(&rest, line.quote))
}

/// `kind TAB value TAB what is shown`, the helps under each other.
fn with_kinds(offers: &[Offer]) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let widest = offers
        .iter()
        .map(|offer| offer.value.width())
        .max()
        .unwrap_or(0)
        .min(32);
    offers
        .iter()
        .map(|offer| {
            let kind = match offer.end {
                End::Word => "word",
                End::Open => "open",
                End::List => "list",
            };
            let value = &offer.value;
            let shown = if offer.help.is_empty() {
                value.clone()
            } else {
                let gap = " ".repeat(widest.saturating_sub(value.width()));
                format!("{value}{gap}  -- {}", offer.help)
            };
            format!("{kind}\t{value}\t{shown}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(value: &str, end: End) -> Offer {
        Offer {
            value: value.into(),
            help: String::new(),
            end,
        }
    }

    fn bash(text: &str, line: &str, value: &str, end: End) -> String {
        let line = read(Shell::Bash, &[text.into(), line.into()]);
        print(Shell::Bash, &line, &[offer(value, end)])
    }

    /// What bash 5.2 hands over was seen in a terminal.
    #[test]
    fn bash_gets_back_what_it_takes_for_the_word() {
        let table = "jit request public.c:em";
        assert_eq!(bash("em", table, "public.c:email", End::List), "email");
        let quoted = "jit request 'public.c:em";
        let whole = "public.c:email";
        assert_eq!(bash("public.c:em", quoted, whole, End::Word), whole);
        assert_eq!(
            bash("@", "jit revoke --grantee al@", "al@%", End::Word),
            "@% "
        );
        let odd = r#"jit request \"My\ Sh"#;
        assert_eq!(
            bash(r#"\"My\ Sh"#, odd, r#""My Shop".t:"#, End::Open),
            r#"\"My\ Shop\".t:"#
        );
        let inside = r#"jit request '"My S"#;
        assert_eq!(
            bash(r#""My S"#, inside, r#""My Shop".t:"#, End::Open),
            r#""My Shop".t:"#
        );
        assert_eq!(
            bash("", "jit list --target=", "--target=shop", End::Word),
            "shop "
        );
    }
}
