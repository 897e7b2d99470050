//! Commands that move bytes: their memory does not depend on how many.

use bytes::Bytes;

use super::Io;
use super::commands::{complain, print};
use super::io::Broken;

/// How much sources write at once.
const BLOCK: usize = 16 << 10;

/// `cat [-]`: copies its input.
pub(super) async fn cat(arguments: &[&str], io: &mut Io<'_>) -> Result<u8, Broken> {
    if let Some(file) = arguments.iter().find(|it| !it.starts_with('-')) {
        return complain(io, &format!("cat: {file}: No such file or directory"), 1).await;
    }
    while let Some(bytes) = io.stdin.read().await {
        io.stdout.write(&bytes).await?;
    }
    Ok(0)
}

/// `head [-n N | -c N | -N]`: the first ten, or so many, lines or bytes.
pub(super) async fn head(arguments: &[&str], io: &mut Io<'_>) -> Result<u8, Broken> {
    let (lines, count) = match arguments {
        [] => (true, Some(10)),
        ["-n", count] => (true, count.parse().ok()),
        ["-c", count] => (false, count.parse().ok()),
        [count] => match count.strip_prefix("-c") {
            Some(count) => (false, count.parse().ok()),
            None => (true, count.trim_start_matches("-n").trim_start_matches('-').parse().ok()),
        },
        _ => (true, None),
    };
    let Some(mut left): Option<usize> = count else {
        return complain(io, "usage: head [-n LINES | -c BYTES]", 1).await;
    };
    while left > 0 {
        let Some(bytes) = io.stdin.read().await else { break };
        let taken = if lines { first_lines(&bytes, &mut left) } else { first_bytes(&bytes, &mut left) };
        io.stdout.write(&taken).await?;
    }
    Ok(0)
}

fn first_bytes(bytes: &Bytes, left: &mut usize) -> Bytes {
    let taken = bytes.slice(..bytes.len().min(*left));
    *left -= taken.len();
    taken
}

fn first_lines(bytes: &Bytes, left: &mut usize) -> Bytes {
    for (position, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            *left -= 1;
            if *left == 0 {
                return bytes.slice(..=position);
            }
        }
    }
    bytes.clone()
}

/// `wc [-c | -l]`: how many lines, words and bytes there are.
pub(super) async fn wc(arguments: &[&str], io: &mut Io<'_>) -> Result<u8, Broken> {
    let (mut lines, mut words, mut count, mut in_word) = (0_u64, 0_u64, 0_u64, false);
    while let Some(bytes) = io.stdin.read().await {
        for byte in &bytes {
            count += 1;
            lines += u64::from(*byte == b'\n');
            words += u64::from(!in_word && !byte.is_ascii_whitespace());
            in_word = !byte.is_ascii_whitespace();
        }
    }
    let line = match arguments {
        [] => format!("{lines} {words} {count}"),
        ["-c"] => count.to_string(),
        ["-l"] => lines.to_string(),
        ["-w"] => words.to_string(),
        _ => return complain(io, "usage: wc [-c | -l | -w]", 1).await,
    };
    print(io, &line).await
}

/// `yes [WORD...]`: a line again and again, until nobody reads it.
pub(super) async fn yes(arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let mut line = if arguments.is_empty() { "y".to_owned() } else { arguments.join(" ") };
    line.push('\n');
    let block = line.repeat((BLOCK / line.len()).max(1));
    if matches!(io.stdout, super::Output::Null) {
        return complain(io, "yes: this would never end", 1).await;
    }
    loop {
        io.stdout.write(block.as_bytes()).await?;
    }
}

/// `seq [FIRST] LAST`: numbers, one on each line.
pub(super) async fn seq(arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let (first, last) = match arguments {
        [last] => (Ok(1), last.parse::<u64>()),
        [first, last] => (first.parse::<u64>(), last.parse()),
        _ => return complain(io, "usage: seq [FIRST] LAST", 1).await,
    };
    let (Ok(first), Ok(last)) = (first, last) else {
        return complain(io, "seq: only whole numbers from 0 are simulated", 1).await;
    };
    if matches!(io.stdout, super::Output::Null) {
        return Ok(0);
    }
    let mut block = String::new();
    for number in first..=last {
        block.push_str(&format!("{number}\n"));
        if block.len() > BLOCK {
            io.stdout.write(block.as_bytes()).await?;
            block.clear();
        }
    }
    io.stdout.write(block.as_bytes()).await?;
    Ok(0)
}
