//! Makes inputs of inputs: the same seed makes the same ones.

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One of them.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

/// Numbers at which readers err.
const NUMBERS: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];

/// Makes new inputs.
#[derive(Debug)]
pub struct Mutator<'a> {
    random: Random,
    words: &'a [&'a str],
    bytes_max: usize,
}

impl<'a> Mutator<'a> {
    /// Of a seed, with words to put in.
    pub fn new(seed: u64, words: &'a [&'a str], bytes_max: usize) -> Mutator<'a> {
        Mutator { random: Random(seed), words, bytes_max }
    }

    /// A new input.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.random.of(seeds).cloned().unwrap_or_default();
        for _ in 0..1 << self.random.below(5) {
            self.change(&mut input, seeds);
            input.truncate(self.bytes_max);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.random.below(input.len() + 1);
        let length = (1 << self.random.below(8)).min(input.len() - at);
        let some = self.random.below(length + 1);
        match self.random.below(12) {
            0 => self.with(input, at, |byte, random| *byte ^= 1 << random.below(8)),
            1 => self.with(input, at, |byte, random| *byte = random.next() as u8),
            2 => self.with(input, at, |byte, random| *byte = *random.of(b"\0\x01 \n\"\\{}[]():,|/*-0919aZ\x7f\x80\xff").unwrap_or(&0)),
            3 => drop(input.drain(at..at + some)),
            4 => input.truncate(at),
            5 => {
                let copied = input[at..at + some].to_vec();
                let times = 1 + self.random.below(4);
                insert(input, at, &copied.repeat(times));
            }
            6 => {
                // Deep nesting begins like this.
                let copied = input[at..at + some.min(8)].to_vec();
                let times = self.random.below(400);
                insert(input, at, &copied.repeat(times));
            }
            7 => {
                let Some(other) = self.random.of(seeds) else { return };
                let from = self.random.below(other.len() + 1);
                let taken = self.random.below(other.len() - from + 1).min(256);
                let other = &other[from..from + taken];
                if self.random.below(2) == 0 {
                    insert(input, at, other);
                } else {
                    overwrite(input, at, other);
                }
            }
            8 => {
                let number = self.number();
                let bytes = if self.random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let width = 1 << self.random.below(4);
                let bytes = if self.random.below(2) == 0 { &bytes[..width] } else { &bytes[8 - width..] };
                overwrite(input, at, bytes);
            }
            9 => {
                let text = self.number().to_string();
                insert(input, at, text.as_bytes());
            }
            10 if !self.words.is_empty() => {
                let word = self.words[self.random.below(self.words.len())];
                insert(input, at, word.as_bytes());
            }
            10 | 11 if !self.words.is_empty() => {
                let word = self.words[self.random.below(self.words.len())];
                overwrite(input, at, word.as_bytes());
            }
            _ => {
                let to = self.random.below(input.len() + 1);
                let copied = input[at..at + some].to_vec();
                overwrite(input, to, &copied);
            }
        }
    }

    fn number(&mut self) -> u64 {
        NUMBERS[self.random.below(NUMBERS.len())].wrapping_add(self.random.below(3) as u64).wrapping_sub(1)
    }

    fn with(&mut self, input: &mut [u8], at: usize, change: impl Fn(&mut u8, &mut Random)) {
        if let Some(byte) = input.get_mut(at) {
            change(byte, &mut self.random);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    input[at..].iter_mut().zip(bytes).for_each(|(old, new)| *old = *new);
}
