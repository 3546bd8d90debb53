//! Many short lists in one allocation.

/// Lists that are numbered from 0.
#[derive(Debug)]
pub(super) struct Lists<T> {
    items: Vec<T>,
    /// The begin and the end of each list in `items`.
    spans: Vec<(u32, u32)>,
}

impl<T: Copy + Default> Lists<T> {
    /// Creates this number of lists. Each item comes with the number of its list; the items of a list keep their order.
    pub(super) fn new(lists: usize, items: impl Iterator<Item = (u32, T)> + Clone) -> Lists<T> {
        let mut spans = vec![(0, 0); lists];
        for (list, _) in items.clone() {
            spans[list as usize].1 += 1;
        }
        let mut begin = 0;
        for span in &mut spans {
            let length = span.1;
            *span = (begin, begin);
            begin += length;
        }
        let mut placed = vec![T::default(); begin as usize];
        for (list, item) in items {
            let end = &mut spans[list as usize].1;
            placed[*end as usize] = item;
            *end += 1;
        }
        Lists { items: placed, spans }
    }

    /// The number of lists.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The items of a list.
    pub(super) fn get(&self, list: u32) -> &[T] {
        let (begin, end) = self.spans[list as usize];
        &self.items[begin as usize..end as usize]
    }

    /// The items of a list, mutably.
    pub(super) fn get_mut(&mut self, list: u32) -> &mut [T] {
        let (begin, end) = self.spans[list as usize];
        &mut self.items[begin as usize..end as usize]
    }

    /// Keeps the items of a list for which `keep` returns true.
    pub(super) fn retain(&mut self, list: u32, keep: impl Fn(T) -> bool) {
        let items = self.get_mut(list);
        let mut kept = 0;
        for at in 0..items.len() {
            if keep(items[at]) {
                items[kept] = items[at];
                kept += 1;
            }
        }
        let (begin, end) = &mut self.spans[list as usize];
        *end = *begin + kept as u32;
    }

    /// The same lists with each item replaced by `other(item)`.
    pub(super) fn map<U>(&self, other: impl Fn(T) -> U) -> Lists<U> {
        Lists { items: self.items.iter().map(|&item| other(item)).collect(), spans: self.spans.clone() }
    }

    /// The items of all lists.
    pub(super) fn items(&self) -> impl Iterator<Item = T> {
        (0..self.len() as u32).flat_map(|list| self.get(list).iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::Lists;

    #[test]
    fn each_list_has_its_items_in_their_order() {
        let mut lists = Lists::new(4, [(2, 'c'), (0, 'b'), (2, 'a'), (3, 'd'), (2, 'e')].into_iter());
        let all =
            |lists: &Lists<char>| (0..4).map(|list| lists.get(list).iter().collect::<String>()).collect::<Vec<_>>();
        assert_eq!(all(&lists), ["b", "", "cae", "d"]);
        lists.retain(2, |item| item != 'c');
        lists.retain(3, |_| false);
        assert_eq!(all(&lists), ["b", "", "ae", ""]);
        assert_eq!(lists.items().collect::<String>(), "bae");
    }
}
