//! Disjoint sets.

/// Which of a number of things belong together, found pair by pair.
pub struct Groups {
    parent: Vec<u32>,
}

impl Groups {
    /// Each thing alone.
    pub fn new(count: usize) -> Groups {
        Groups { parent: (0..count as u32).collect() }
    }

    /// The lowest thing of the set in which `i` is.
    pub fn root(&mut self, mut i: usize) -> usize {
        while self.parent[i] as usize != i {
            self.parent[i] = self.parent[self.parent[i] as usize];
            i = self.parent[i] as usize;
        }
        i
    }

    pub fn join(&mut self, i: usize, j: usize) {
        let (a, b) = (self.root(i), self.root(j));
        self.parent[a.max(b)] = a.min(b) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_join_and_are_known_by_their_lowest() {
        let mut groups = Groups::new(6);
        for (i, j) in [(4, 5), (1, 4), (2, 3), (5, 1)] {
            groups.join(i, j);
        }
        assert_eq!((0..6).map(|i| groups.root(i)).collect::<Vec<_>>(), [0, 1, 2, 2, 1, 1]);
    }
}
