//! Whether a policy leaves room for two views of one log (SPEC §17.5).

use super::{Group, Member, Policy, keeper};

/// What two sets of witnesses that share nobody can do with a member of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Not even one of them meets it.
    Neither,
    /// Either of them meets it, and then the other does not.
    One,
    /// Both meet it at once.
    Both,
}

impl Policy {
    /// Whether every two quorums for a log share a witness that belongs to none of `parties`: then two views of the log, each
    /// with cosignatures that count, take a witness that cosigns both and is nobody of those who are watched. A witness
    /// belongs to the party that the first part of its name is. Exact: a witness stands in one group at most, so that what
    /// is chosen below one group leaves open what is chosen below another.
    #[must_use]
    pub fn excludes_split_view(&self, origin: &str, parties: &[&str]) -> bool {
        self.quorum.is_some_and(|quorum| self.room(quorum, origin, parties) == Room::One)
    }

    fn room(&self, member: Member, origin: &str, parties: &[&str]) -> Room {
        let group = match member {
            Member::Witness(at) => {
                let witness = &self.witnesses[at].value.key;
                return match () {
                    () if self.keeps(witness, origin) => Room::Neither,
                    () if parties.contains(&keeper(witness.name())) => Room::Both,
                    () => Room::One,
                };
            }
            Member::Group(at) => &self.groups[at].value,
        };
        let Group { threshold, members } = group;
        let rooms: Vec<Room> = members.iter().map(|&member| self.room(member, origin, parties)).collect();
        let of = |room| rooms.iter().filter(|&&found| found == room).count();
        let (both, one) = (of(Room::Both), of(Room::One));
        // Those that meet for one side alone are shared out; each side needs what the others leave it short of.
        match threshold.saturating_sub(both) {
            short if 2 * short <= one => Room::Both,
            short if short <= one => Room::One,
            _ => Room::Neither,
        }
    }
}
