//! Many short lists in one allocation.

/// Lists that are numbered from 0.
#[derive(Debug)]
pub(super) struct Lists<T> {
    items: Vec<T>,
    /// Of each list, where in `items` it begins and ends.
    spans: Vec<(u32, u32)>,
}

impl<T: Copy + Default> Lists<T> {
    /// So many lists; `items` come with the list of each, and keep their order.
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

    /// How many lists there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// One of them.
    pub(super) fn of(&self, list: u32) -> &[T] {
        let (begin, end) = self.spans[list as usize];
        &self.items[begin as usize..end as usize]
    }

    /// One of them, to change or to put in order.
    pub(super) fn of_mut(&mut self, list: u32) -> &mut [T] {
        let (begin, end) = self.spans[list as usize];
        &mut self.items[begin as usize..end as usize]
    }

    /// Of one of them, keeps what `keep` is true of.
    pub(super) fn retain(&mut self, list: u32, keep: impl Fn(T) -> bool) {
        let items = self.of_mut(list);
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

    /// The same lists of other items.
    pub(super) fn map<U>(&self, other: impl Fn(T) -> U) -> Lists<U> {
        Lists { items: self.items.iter().map(|&item| other(item)).collect(), spans: self.spans.clone() }
    }

    /// The items of all lists.
    pub(super) fn items(&self) -> impl Iterator<Item = T> {
        (0..self.len() as u32).flat_map(|list| self.of(list).iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::Lists;

    #[test]
    fn each_list_has_its_items_in_their_order() {
        let mut lists = Lists::new(4, [(2, 'c'), (0, 'b'), (2, 'a'), (3, 'd'), (2, 'e')].into_iter());
        let all =
            |lists: &Lists<char>| (0..4).map(|list| lists.of(list).iter().collect::<String>()).collect::<Vec<_>>();
        assert_eq!(all(&lists), ["b", "", "cae", "d"]);
        lists.retain(2, |item| item != 'c');
        lists.retain(3, |_| false);
        assert_eq!(all(&lists), ["b", "", "ae", ""]);
        assert_eq!(lists.items().collect::<String>(), "bae");
    }
}
