//! What is kept of a function between bars, as bytes. The form is described at
//! [`Indicator::save`](super::Indicator::save).

/// A part of a function that lasts from bar to bar.
pub(super) trait State {
    /// Appends the part.
    fn save(&self, out: &mut Vec<u8>);

    /// Takes over a saved part, in the place of a fresh one of the same parameters. After `None`, when the bytes
    /// are no such part, the fresh one is half overwritten and not to be used.
    fn load(&mut self, bytes: &mut &[u8]) -> Option<()>;
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// Reads a count of at most `max`.
pub(super) fn take_count(bytes: &mut &[u8], max: u16) -> Option<u16> {
    take(bytes).map(u16::from_le_bytes).filter(|count| *count <= max)
}

/// Reads a finite number.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<f64> {
    take(bytes).map(f64::from_le_bytes).filter(|number| number.is_finite())
}

impl State for u16 {
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        *self = take_count(bytes, u16::MAX)?;
        Some(())
    }
}

impl State for f64 {
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        *self = take_number(bytes)?;
        Some(())
    }
}

impl<T: State + Default> State for Option<T> {
    fn save(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(part) = self {
            part.save(out);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        *self = match take(bytes)? {
            [0] => None,
            [1] => {
                let mut part = T::default();
                part.load(bytes)?;
                Some(part)
            }
            _ => return None,
        };
        Some(())
    }
}
