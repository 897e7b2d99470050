//! A terminal's line discipline: what typed bytes do before a program reads them, and what printed bytes become.
//! Pure.

/// The longest line that is kept, in bytes, as Linux's.
const LONGEST_LINE: usize = 4095;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const ERASE_LINE: u8 = 0x15;
const ERASE_WORD: u8 = 0x17;
const DELETE: u8 = 0x7f;

/// What follows from typed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// To be shown.
    Echo(Vec<u8>),
    /// To be read by the program.
    Line(Vec<u8>),
    /// The program reads an end.
    End,
    /// The program is to stop.
    Interrupt,
}

/// The line that is being typed.
#[derive(Debug, Default)]
pub(crate) struct Discipline {
    line: Vec<u8>,
}

impl Discipline {
    /// Takes typed bytes.
    pub(crate) fn typed(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut effects = Vec::new();
        for byte in bytes {
            self.byte(*byte, &mut effects);
        }
        effects
    }

    fn byte(&mut self, byte: u8, effects: &mut Vec<Typed>) {
        match byte {
            b'\r' | b'\n' => {
                echo(effects, b"\r\n");
                self.line.push(b'\n');
                effects.push(Typed::Line(std::mem::take(&mut self.line)));
            }
            INTERRUPT => {
                echo(effects, b"^C\r\n");
                self.line.clear();
                effects.push(Typed::Interrupt);
            }
            END if self.line.is_empty() => effects.push(Typed::End),
            END => effects.push(Typed::Line(std::mem::take(&mut self.line))),
            BACKSPACE | DELETE => self.erase(effects),
            ERASE_LINE => {
                while !self.line.is_empty() {
                    self.erase(effects);
                }
            }
            ERASE_WORD => {
                while self.line.last() == Some(&b' ') {
                    self.erase(effects);
                }
                while self.line.last().is_some_and(|byte| *byte != b' ') {
                    self.erase(effects);
                }
            }
            // Arrow keys and the like begin with one; there is no editing they could do.
            0..=0x1f if byte != b'\t' => {}
            _ if self.line.len() >= LONGEST_LINE => {}
            _ => {
                self.line.push(byte);
                echo(effects, &[byte]);
            }
        }
    }

    /// Takes back a character, which may be several bytes.
    fn erase(&mut self, effects: &mut Vec<Typed>) {
        let is_continuation = |byte: &u8| byte & 0xc0 == 0x80;
        while self.line.last().is_some_and(is_continuation) {
            self.line.pop();
        }
        if self.line.pop().is_some() {
            echo(effects, b"\x08 \x08");
        }
    }
}

fn echo(effects: &mut Vec<Typed>, bytes: &[u8]) {
    match effects.last_mut() {
        Some(Typed::Echo(shown)) => shown.extend_from_slice(bytes),
        _ => effects.push(Typed::Echo(bytes.to_vec())),
    }
}

/// What a terminal gets for printed bytes: a carriage return before each line feed.
pub(crate) fn printed(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() + 16);
    for byte in bytes {
        if *byte == b'\n' {
            shown.push(b'\r');
        }
        shown.push(*byte);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(typed: &[u8], expected: &[Typed]) {
        assert_eq!(Discipline::default().typed(typed), expected, "{typed:?}");
    }

    fn shown(text: &str) -> Typed {
        Typed::Echo(text.as_bytes().to_vec())
    }

    fn line(text: &str) -> Typed {
        Typed::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn a_line_is_read_when_it_is_complete_and_shown_as_it_is_typed() {
        check(b"ab", &[shown("ab")]);
        check(b"ab\rc", &[shown("ab\r\n"), line("ab\n"), shown("c")]);
        check(b"a\tb\n", &[shown("a\tb\r\n"), line("a\tb\n")]);
        check(b"a\x1b\x00\r", &[shown("a\r\n"), line("a\n")]);
    }

    #[test]
    fn what_was_typed_can_be_taken_back() {
        check(b"ab\x7f\x08\x08c\r", &[shown("ab\x08 \x08\x08 \x08c\r\n"), line("c\n")]);
        check("aé\x7f\r".as_bytes(), &[shown("aé\x08 \x08\r\n"), line("a\n")]);
        check(b"ab\x15c\r", &[shown("ab\x08 \x08\x08 \x08c\r\n"), line("c\n")]);
        check(b"a bc \x17d\r", &[shown("a bc \x08 \x08\x08 \x08\x08 \x08d\r\n"), line("a d\n")]);
    }

    #[test]
    fn control_c_interrupts_and_control_d_ends() {
        check(b"ab\x03c\r", &[shown("ab^C\r\n"), Typed::Interrupt, shown("c\r\n"), line("c\n")]);
        check(b"\x04", &[Typed::End]);
        check(b"ab\x04\x04", &[shown("ab"), line("ab"), Typed::End]);
    }

    #[test]
    fn a_line_has_a_limit() {
        let effects = Discipline::default().typed(&[b"x".repeat(10_000).as_slice(), b"\r"].concat());
        let expected = format!("{}\n", "x".repeat(LONGEST_LINE));
        assert_eq!(effects.last(), Some(&line(&expected)));
    }

    #[test]
    fn printed_lines_return_the_carriage() {
        assert_eq!(printed(b"a\nb\r\n"), b"a\r\nb\r\r\n");
    }

    proptest! {
        #[test]
        fn typed_bytes_have_the_same_effect_however_they_arrive(bytes: Vec<u8>, at in 0_usize..64) {
            let lines = |effects: Vec<Typed>| -> Vec<_> {
                effects.into_iter().filter(|effect| !matches!(effect, Typed::Echo(_))).collect()
            };
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            let mut discipline = Discipline::default();
            let mut parts = discipline.typed(first);
            parts.extend(discipline.typed(second));
            prop_assert_eq!(lines(parts), lines(Discipline::default().typed(&bytes)));
        }
    }
}
