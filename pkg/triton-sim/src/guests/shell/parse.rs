//! The language of guests' shells: a small part of POSIX's. Pure.
//!
//! ```text
//! script   = [list] { (";" | newline) [list] }
//! list     = pipeline { ("&&" | "||") pipeline }
//! pipeline = ["!"] command { "|" command }
//! command  = { NAME=word } { word | redirect }
//! redirect = "</dev/null" | [1 | 2 | &] ">" "/dev/null" | [1] ">&2" | "2>&1"
//! ```
//!
//! Words have `'…'`, `"…"`, `\`, `$NAME`, `${NAME}` and `$?`; a variable's value is never split or globbed. `#`
//! starts a comment. Everything else that a shell has is refused with its name: compound commands, functions,
//! substitutions, here-documents, jobs in the background. There are no files, so nothing else can be redirected.

/// The most bytes of a script.
pub(crate) const LONGEST_SCRIPT: usize = 1 << 20;

/// The most commands of a pipeline, which run all at once.
const MOST_PIPED: usize = 32;

/// Lists to run one after the other.
pub(crate) type Script = Vec<AndOr>;

/// Pipelines of which each but the first runs depending on how the one before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AndOr {
    pub(crate) first: Pipeline,
    pub(crate) rest: Vec<(Connector, Pipeline)>,
}

/// When the pipeline behind it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connector {
    And,
    Or,
}

/// Commands whose outputs are the next one's inputs; at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) negated: bool,
    pub(crate) commands: Vec<Command>,
}

/// A command with its arguments, or only assignments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) assignments: Vec<(String, Word)>,
    pub(crate) words: Vec<Word>,
    pub(crate) redirects: Vec<Redirect>,
}

/// Pieces that are put together when the command runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) parts: Vec<Part>,
    /// Whether any of it was quoted: then it is a word even if it is empty.
    pub(crate) quoted: bool,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Variable(String),
}

/// Where the command reads or writes instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// From or to a file.
    File(Side, Word),
    /// `>&2`
    OutToErr,
    /// `2>&1`
    ErrToOut,
}

/// What of a command is redirected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `<`
    In,
    /// `>`, `1>`
    Out,
    /// `2>`
    Err,
    /// `&>`
    Both,
}

/// A text that is no script here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("syntax error near {0:?}")]
    Near(String),
    #[error("syntax error: a quote is not closed")]
    OpenQuote,
    #[error("the shell of a simulated guest has no {0}")]
    Unsupported(String),
    #[error("the script is longer than {LONGEST_SCRIPT} bytes")]
    TooLong,
}

/// Words that begin what is not supported, when they are where a command is.
const KEYWORDS: [&str; 16] = [
    "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "function",
    "select", "{", "[[",
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(Word),
    Redirect(Redirect),
    /// A redirection whose target is the next word.
    Target(Side),
    Pipe,
    And,
    Or,
    End,
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Script, SyntaxError> {
    if text.len() > LONGEST_SCRIPT {
        return Err(SyntaxError::TooLong);
    }
    let mut tokens = Lexer { rest: text.chars().peekable() }.tokens()?.into_iter().peekable();
    let mut script = Vec::new();
    loop {
        while tokens.next_if_eq(&Token::End).is_some() {}
        if tokens.peek().is_none() {
            return Ok(script);
        }
        let first = pipeline(&mut tokens)?;
        let mut rest = Vec::new();
        loop {
            let connector = match tokens.next() {
                Some(Token::And) => Connector::And,
                Some(Token::Or) => Connector::Or,
                _ => break,
            };
            while tokens.next_if_eq(&Token::End).is_some() {}
            rest.push((connector, pipeline(&mut tokens)?));
        }
        script.push(AndOr { first, rest });
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn pipeline(tokens: &mut Tokens) -> Result<Pipeline, SyntaxError> {
    let mut pipeline = Pipeline::default();
    let not = Token::Word(Word { parts: vec![Part::Text("!".to_owned())], quoted: false });
    pipeline.negated = tokens.next_if_eq(&not).is_some();
    loop {
        pipeline.commands.push(command(tokens)?);
        if pipeline.commands.len() > MOST_PIPED {
            return Err(SyntaxError::Unsupported(format!("pipelines of more than {MOST_PIPED} commands")));
        }
        if tokens.next_if_eq(&Token::Pipe).is_none() {
            return Ok(pipeline);
        }
        while tokens.next_if_eq(&Token::End).is_some() {}
    }
}

fn command(tokens: &mut Tokens) -> Result<Command, SyntaxError> {
    let mut command = Command::default();
    while let Some(token) =
        tokens.next_if(|token| matches!(token, Token::Word(_) | Token::Redirect(_) | Token::Target(_)))
    {
        match token {
            Token::Word(word) if command.words.is_empty() => match assignment(&word) {
                Some(assignment) => command.assignments.push(assignment),
                None => command.words.push(word),
            },
            Token::Word(word) => command.words.push(word),
            Token::Redirect(redirect) => command.redirects.push(redirect),
            Token::Target(side) => match tokens.next() {
                Some(Token::Word(word)) => command.redirects.push(Redirect::File(side, word)),
                _ => return Err(SyntaxError::Near(">".to_owned())),
            },
            _ => {}
        }
    }
    if let Some(keyword) = command.words.first().and_then(keyword) {
        return Err(SyntaxError::Unsupported(format!("`{keyword}`")));
    }
    if command == Command::default() {
        let near = match tokens.peek() {
            Some(Token::Pipe) => "|",
            Some(Token::And) => "&&",
            Some(Token::Or) => "||",
            Some(Token::End) => ";",
            _ => "end of script",
        };
        return Err(SyntaxError::Near(near.to_owned()));
    }
    Ok(command)
}

fn keyword(word: &Word) -> Option<&'static str> {
    let [Part::Text(text)] = word.parts.as_slice() else { return None };
    KEYWORDS.into_iter().find(|keyword| !word.quoted && keyword == text)
}

/// `NAME=value`, whose name must not be quoted.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Part::Text(text), parts) = word.parts.split_first()? else { return None };
    let (name, value) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let first = (!value.is_empty()).then(|| Part::Text(value.to_owned()));
    let parts = first.into_iter().chain(parts.iter().cloned()).collect();
    Some((name.to_owned(), Word { parts, quoted: true }))
}

/// Whether it can be the name of a variable.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_name_character)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, SyntaxError> {
        let mut tokens = Vec::new();
        while let Some(&c) = self.rest.peek() {
            match c {
                ' ' | '\t' | '\r' => {
                    self.rest.next();
                }
                '#' => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '\n' | ';' | '|' | '&' | '<' | '>' => tokens.push(self.operator()?),
                '(' | ')' => {
                    return Err(SyntaxError::Unsupported("`(`, for subshells and functions".to_owned()));
                }
                _ => match self.word()? {
                    Some(word) => {
                        let number = descriptor(&word).filter(|_| self.rest.peek() == Some(&'>'));
                        tokens.push(match number {
                            Some(number) => self.redirect(number)?,
                            None => Token::Word(word),
                        });
                    }
                    None => continue,
                },
            }
        }
        Ok(tokens)
    }

    fn operator(&mut self) -> Result<Token, SyntaxError> {
        let unsupported = |what: &str| Err(SyntaxError::Unsupported(what.to_owned()));
        match self.rest.next() {
            Some('|') if self.rest.next_if_eq(&'|').is_some() => Ok(Token::Or),
            Some('|') => Ok(Token::Pipe),
            Some('&') if self.rest.next_if_eq(&'&').is_some() => Ok(Token::And),
            Some('&') if self.rest.next_if_eq(&'>').is_some() => Ok(Token::Target(Side::Both)),
            Some('&') => unsupported("jobs in the background (`&`)"),
            Some('<') if self.rest.peek() == Some(&'<') => unsupported("here-documents (`<<`)"),
            Some('<') => Ok(Token::Target(Side::In)),
            Some('>') => self.out('1'),
            _ => Ok(Token::End),
        }
    }

    fn redirect(&mut self, number: char) -> Result<Token, SyntaxError> {
        self.rest.next();
        self.out(number)
    }

    /// Behind `>`.
    fn out(&mut self, number: char) -> Result<Token, SyntaxError> {
        if self.rest.next_if_eq(&'&').is_some() {
            return match (number, self.rest.next()) {
                ('1', Some('2')) => Ok(Token::Redirect(Redirect::OutToErr)),
                ('2', Some('1')) => Ok(Token::Redirect(Redirect::ErrToOut)),
                _ => Err(SyntaxError::Near(">&".to_owned())),
            };
        }
        self.rest.next_if_eq(&'>');
        Ok(Token::Target(if number == '2' { Side::Err } else { Side::Out }))
    }

    /// `None` for an escaped line feed alone, which is nothing.
    fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        let mut word = Word::default();
        let mut continued = false;
        while let Some(&c) = self.rest.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.rest.next();
                    word.quoted = true;
                    loop {
                        match self.rest.next().ok_or(SyntaxError::OpenQuote)? {
                            '\'' => break,
                            c => word.push(c),
                        }
                    }
                }
                '"' => {
                    self.rest.next();
                    word.quoted = true;
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        Some('\n') => continued = true,
                        Some(c) => {
                            word.quoted = true;
                            word.push(c);
                        }
                        None => word.push('\\'),
                    }
                }
                '$' | '`' => self.dollar(&mut word)?,
                c => {
                    self.rest.next();
                    word.push(c);
                }
            }
        }
        Ok((!(continued && word == Word::default())).then_some(word))
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), SyntaxError> {
        loop {
            match *self.rest.peek().ok_or(SyntaxError::OpenQuote)? {
                '"' => {
                    self.rest.next();
                    return Ok(());
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next().ok_or(SyntaxError::OpenQuote)? {
                        '\n' => {}
                        c @ ('"' | '\\' | '$' | '`') => word.push(c),
                        c => {
                            word.push('\\');
                            word.push(c);
                        }
                    }
                }
                '$' | '`' => self.dollar(word)?,
                c => {
                    self.rest.next();
                    word.push(c);
                }
            }
        }
    }

    fn dollar(&mut self, word: &mut Word) -> Result<(), SyntaxError> {
        let substitution = || SyntaxError::Unsupported("substitutions but $NAME, ${NAME} and $?".to_owned());
        if self.rest.next() == Some('`') {
            return Err(substitution());
        }
        match self.rest.peek() {
            Some('?') => {
                self.rest.next();
                word.parts.push(Part::Variable("?".to_owned()));
            }
            Some('{') => {
                self.rest.next();
                let mut name = String::new();
                loop {
                    match self.rest.next().ok_or(SyntaxError::OpenQuote)? {
                        '}' => break,
                        c => name.push(c),
                    }
                }
                if !is_name(&name) && name != "?" {
                    return Err(substitution());
                }
                word.parts.push(Part::Variable(name));
            }
            Some('(') => return Err(substitution()),
            Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                let mut name = String::new();
                while let Some(c) = self.rest.next_if(|c| is_name_character(*c)) {
                    name.push(c);
                }
                word.parts.push(Part::Variable(name));
            }
            _ => word.push('$'),
        }
        Ok(())
    }
}

impl Word {
    fn push(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }
}

/// `1` or `2` right before `>`.
fn descriptor(word: &Word) -> Option<char> {
    match word.parts.as_slice() {
        [Part::Text(text)] if !word.quoted && text == "1" => Some('1'),
        [Part::Text(text)] if !word.quoted && text == "2" => Some('2'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
