//! A hash that is kept in memory for long: packed, since there may be one for each order of a long log.

use std::collections::BTreeMap;

/// Fields beyond which a hash is kept as a map: packed ones are searched from the front.
const PACKED_MAX: usize = 64;

/// The fields of a hash.
#[derive(Clone, Debug)]
pub enum Fields {
    /// Name and value in turn, each behind its length.
    Packed { bytes: Vec<u8>, len: usize },
    /// Any number of them.
    Map(BTreeMap<Box<[u8]>, Box<[u8]>>),
}

impl Default for Fields {
    fn default() -> Self {
        Fields::Packed { bytes: Vec::new(), len: 0 }
    }
}

impl Fields {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Fields::Packed { len, .. } => *len,
            Fields::Map(map) => map.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every name and value.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (&[u8], &[u8])> + '_> {
        match self {
            Fields::Packed { bytes, .. } => Box::new(Unpacked { rest: bytes }),
            Fields::Map(map) => Box::new(map.iter().map(|(name, value)| (&**name, &**value))),
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        match self {
            Fields::Packed { bytes, .. } => {
                Unpacked { rest: bytes }.find(|(known, _)| *known == name).map(|(_, value)| value)
            }
            Fields::Map(map) => map.get(name).map(|value| &**value),
        }
    }

    /// Takes a patch in.
    pub fn patch(&mut self, set: &[(String, Vec<u8>)], delete: &[String]) {
        if let Fields::Map(map) = self {
            for (name, value) in set {
                map.insert(name.as_bytes().into(), value.as_slice().into());
            }
            delete.iter().for_each(|name| drop(map.remove(name.as_bytes())));
            return;
        }
        let is_replaced = |name: &[u8]| {
            set.iter().any(|(other, _)| other.as_bytes() == name) || delete.iter().any(|other| other.as_bytes() == name)
        };
        let kept = self.iter().filter(|(name, _)| !is_replaced(name));
        let new = set.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        *self = kept.chain(new).collect();
    }
}

impl<'f> FromIterator<(&'f [u8], &'f [u8])> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'f [u8], &'f [u8])>>(fields: I) -> Self {
        let (mut bytes, mut len) = (Vec::new(), 0);
        for (name, value) in fields {
            for part in [name, value] {
                // Event data is limited to 16 MiB.
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(part);
            }
            len += 1;
        }
        if len <= PACKED_MAX {
            bytes.shrink_to_fit();
            return Fields::Packed { bytes, len };
        }
        Fields::Map(Unpacked { rest: &bytes }.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The fields of a packed hash.
struct Unpacked<'f> {
    rest: &'f [u8],
}

impl<'f> Unpacked<'f> {
    fn part(&mut self) -> Option<&'f [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        self.rest = rest;
        Some(part)
    }
}

impl<'f> Iterator for Unpacked<'f> {
    type Item = (&'f [u8], &'f [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.part()?, self.part()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn patches_do_what_they_do_to_a_map(
            patches in prop::collection::vec(
                (prop::collection::btree_map("[a-z]{1,2}", prop::collection::vec(any::<u8>(), 0..4), 0..40),
                 prop::collection::btree_set("[a-z]{1,2}", 0..4)),
                0..8,
            )
        ) {
            let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut fields = Fields::default();
            for (set, delete) in patches {
                let set: Vec<_> = set.into_iter().filter(|(name, _)| !delete.contains(name)).collect();
                let delete: Vec<_> = delete.into_iter().collect();
                fields.patch(&set, &delete);
                delete.iter().for_each(|name| drop(model.remove(name)));
                model.extend(set);
                let found: BTreeMap<_, _> = fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                let wanted: BTreeMap<_, _> = model.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())).collect();
                prop_assert_eq!(found, wanted);
                prop_assert_eq!(fields.len(), model.len());
                for (name, value) in &model {
                    prop_assert_eq!(fields.get(name.as_bytes()), Some(value.as_slice()));
                }
            }
        }
    }
}
