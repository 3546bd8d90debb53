//! Clusters of views that greet each other, without servers.

use super::*;
use crate::storage::Incarnation;

/// Servers of one cluster, each with its view.
struct Views {
    views: Vec<ClusterView>,
    next_number: u64,
}

/// Returns a view of a new directory.
fn view(me: usize, servers: usize, directory: u64, standing: Standing) -> ClusterView {
    let incarnation = Incarnation { directory, start: 1, run: directory };
    let membership = Membership { cluster: None, incarnation, standing, peers: Default::default() };
    ClusterView::new(ServerId(me), (0..servers).map(|id| format!("host-{id}")).collect(), membership, 1_000)
}

impl Views {
    fn new(servers: usize, standing: Standing) -> Views {
        let views = (0..servers).map(|me| view(me, servers, 10 + me as u64, standing)).collect();
        Views { views, next_number: 100 }
    }

    /// Returns a cluster of which all servers take part.
    fn founded(servers: usize) -> Views {
        let mut views = Views::new(servers, Standing::New);
        views.meet_all();
        assert!(views.views.iter().all(ClusterView::takes_part));
        views
    }

    /// Lets `one` connect to `other`; each judges the greeting of the other one.
    fn meet(&mut self, one: usize, other: usize) -> Result<(), Refusal> {
        for (from, to) in [(one, other), (other, one)] {
            let greeting = self.views[from].greeting(Term(from as u64), Index(from as u64));
            let to = &mut self.views[to];
            to.check_own_record(&greeting).map_err(Refusal::of_lost_data)?;
            to.receive(&greeting)?;
            to.take_next_step();
        }
        Ok(())
    }

    fn meet_all(&mut self) {
        for (one, other) in self.pairs().into_iter().chain(self.pairs()) {
            self.meet(one, other).expect("they belong together");
        }
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let servers = self.views.len();
        (0..servers).flat_map(|one| (one + 1..servers).map(move |other| (one, other))).collect()
    }

    /// Gives a server an empty directory.
    fn lose_data(&mut self, server: usize, standing: Standing) {
        self.next_number += 1;
        self.views[server] = view(server, self.views.len(), self.next_number, standing);
    }

    /// Starts a server again, from `membership`.
    fn restart(&mut self, server: usize, mut membership: Membership) {
        self.next_number += 1;
        membership.incarnation.start += 1;
        membership.incarnation.run = self.next_number;
        let peers = self.views[server].peers.clone();
        self.views[server] = ClusterView::new(ServerId(server), peers, membership, 1_000);
    }
}

/// Returns the reason of a refusal after which the refused server stops.
#[track_caller]
fn stops(result: Result<(), Refusal>) -> String {
    let refusal = result.expect_err("it is refused");
    assert!(refusal.must_stop && !refusal.reason.contains('\n'), "{refusal:?}");
    refusal.reason
}

#[test]
fn new_servers_take_part_when_all_have_met_and_agree_on_the_cluster() {
    let mut views = Views::new(3, Standing::New);
    views.meet(0, 1).expect("they belong together");
    assert!(views.views.iter().all(|view| !view.takes_part()), "S2 is missing");
    assert_eq!(views.views[0].missing().collect::<Vec<_>>(), [ServerId(2)]);
    views.meet_all();
    let ids: Vec<_> = views.views.iter().map(|view| view.membership.cluster).collect();
    assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_server_that_was_away_at_the_end_of_the_founding_learns_the_cluster() {
    let mut views = Views::new(3, Standing::New);
    for (one, other) in [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0)] {
        assert!(!views.views[0].takes_part(), "S0 has not heard that all know all");
        views.meet(one, other).expect("they belong together");
    }
    assert!(views.views[0].takes_part(), "S1 and S2 know the same directories");
    views.meet_all();
    assert_eq!(views.views[1].membership.cluster, views.views[0].membership.cluster);
    assert_eq!(views.views[2].membership.cluster, views.views[0].membership.cluster);
}

#[test]
fn a_server_without_data_stops_and_learns_the_command() {
    for (one, other) in [(0, 1), (1, 0)] {
        let mut views = Views::founded(3);
        views.lose_data(1, Standing::New);
        let reason = stops(views.meet(one, other));
        assert!(reason.contains("the data directory of S1 is new") && reason.contains("serve --replace"), "{reason}");
    }
}

#[test]
fn a_directory_that_is_lost_during_the_founding_founds_no_second_cluster() {
    let pairs = [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)];
    // S1 loses its directory after any number of meetings, and then all meet again, in any order of the two others.
    for met in 0..=pairs.len() {
        for orders in [[(1, 2), (2, 0), (1, 0)], [(1, 0), (1, 2), (2, 0)]] {
            let mut views = Views::new(3, Standing::New);
            pairs[..met].iter().for_each(|&(one, other)| views.meet(one, other).expect("they belong together"));
            let founded: Vec<_> = views.views.iter().filter_map(|view| view.membership.cluster).collect();
            views.lose_data(1, Standing::New);
            for (one, other) in orders.into_iter().cycle().take(9) {
                let _ = views.meet(one, other);
            }
            let ids: Vec<_> = views.views.iter().filter_map(|view| view.membership.cluster).chain(founded).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "after {met} meetings: {ids:?}");
        }
    }
}

#[test]
fn the_saves_of_an_unused_directory_do_not_count_for_the_next_one() {
    let mut views = Views::new(3, Standing::New);
    views.meet(1, 2).expect("they belong together");
    // S1 loses its directory before the cluster is founded. The next one has fewer saves.
    let peers = views.views[1].peers.clone();
    let new_view = |start, saves| {
        let incarnation = Incarnation { directory: 77, start, run: 77 + start };
        let membership = Membership { cluster: None, incarnation, standing: Standing::New, peers: Default::default() };
        ClusterView::new(ServerId(1), peers.clone(), membership, saves)
    };
    views.views[1] = new_view(1, 1);
    views.meet(1, 2).expect("S2 does not know all servers yet");
    views.views[1] = new_view(2, 3);
    views.meet(1, 2).expect("this directory was never ahead");
}

#[test]
fn an_older_copy_does_not_stop_a_server_that_was_replaced_since() {
    let mut views = Views::founded(3);
    let copy = views.views[2].membership.clone();
    views.restart(2, copy.clone());
    views.meet_all();
    views.lose_data(1, Standing::Replacing);
    views.meet_all();
    // The copy of S2 knows the lost directory of S1, and says that S1 has lost data.
    views.restart(2, copy);
    let greeting = views.views[2].greeting(Term(1), Index(1));
    let replaced = views.views[1].greeting(Term(1), Index(1));
    let refusal = views.views[2].receive(&replaced).expect_err("it is refused");
    assert!(refusal.must_stop && refusal.reason.contains("S1"), "{refusal:?}");
    let answer = views.views[1].check_age(&greeting).expect_err("S1 recognises the copy");
    assert!(answer.reason.contains("the data directory of S2 is an older copy"), "{answer:?}");
}

#[test]
fn a_cluster_that_was_never_founded_says_so() {
    let mut views = Views::new(3, Standing::New);
    views.lose_data(1, Standing::Replacing);
    for other in [0, 2] {
        let greeting = views.views[1].greeting(Term(0), Index(0));
        views.views[other].receive(&greeting).expect("it is admitted");
        assert_eq!(views.views[other].take_next_step(), NextStep::Wait);
        let greeting = views.views[other].greeting(Term(0), Index(0));
        views.views[1].receive(&greeting).expect("it belongs to the cluster");
    }
    let NextStep::Stop(reason) = views.views[1].take_next_step() else { panic!("nothing can be replaced") };
    assert!(reason.contains("never founded"), "{reason}");
}

#[test]
fn a_restart_is_admitted_and_an_older_copy_stops() {
    let mut views = Views::founded(3);
    let copy = views.views[1].membership.clone();
    views.restart(1, copy.clone());
    // All saves that S0 has seen were there when S1 was opened again.
    views.views[0].membership.peers.get_mut(&ServerId(1)).expect("known").saves = 1_000;
    views.meet(1, 0).expect("the next start");
    views.meet(0, 1).expect("the same start");
    let second = views.views[1].membership.clone();

    views.restart(1, copy);
    let reason = stops(views.meet(1, 0));
    assert!(reason.contains("it begins start 2, but S1 had begun start 2 before"), "{reason}");

    views.views[0].membership.peers.get_mut(&ServerId(1)).expect("known").saves = 1_001;
    views.restart(1, second);
    let reason = stops(views.meet(1, 0));
    assert!(reason.contains("it had 1000 saves when it was opened, but S1 had made 1001"), "{reason}");
}

#[test]
fn a_replaced_server_waits_for_all_others_and_takes_their_highest_numbers() {
    let mut views = Views::founded(3);
    let lost = views.views[1].membership.clone();
    views.lose_data(1, Standing::Replacing);
    let greeting = views.views[1].greeting(Term(0), Index(0));
    let effect = views.views[0].receive(&greeting).expect("it is admitted");
    assert_eq!(effect, GreetingEffect { must_save: true, replaced: true });
    views.meet(1, 0).expect("S0 answers");
    assert_eq!(views.views[1].next_step(), NextStep::Wait);
    views.views[2].receive(&greeting).expect("it is admitted");
    let greeting = views.views[2].greeting(Term(7), Index(5));
    views.views[1].receive(&greeting).expect("S2 answers");
    assert_eq!(views.views[1].take_next_step(), NextStep::CatchUp { term: Term(7), commit: Index(5) });
    assert_eq!(views.views[1].membership.cluster, views.views[0].membership.cluster);

    // The lost directory was found, too late.
    views.restart(1, lost);
    let reason = stops(views.meet(1, 0));
    assert!(reason.contains("was replaced by another one"), "{reason}");
}

#[test]
fn a_greeting_without_the_new_directory_is_no_answer() {
    let mut views = Views::founded(3);
    views.lose_data(1, Standing::Replacing);
    // S0 and S2 connect to S1, and know its lost directory.
    for other in [0, 2] {
        let greeting = views.views[other].greeting(Term(3), Index(3));
        views.views[1].receive(&greeting).expect("they belong together");
    }
    assert_eq!(views.views[1].take_next_step(), NextStep::Wait);
    views.meet(1, 0).expect("S0 answers");
    assert!(!views.views[1].takes_part(), "S2 has not answered");
    views.meet(1, 2).expect("S2 answers");
    assert!(views.views[1].takes_part());
}

#[test]
fn a_majority_without_data_is_not_replaced() {
    let mut views = Views::founded(3);
    views.lose_data(1, Standing::Replacing);
    views.lose_data(2, Standing::Replacing);
    views.meet(1, 0).expect("S0 answers");
    let greeting = views.views[1].greeting(Term(0), Index(0));
    views.views[2].receive(&greeting).expect("S2 admits it");
    let greeting = views.views[2].greeting(Term(0), Index(0));
    views.views[1].receive(&greeting).expect("S2 answers");
    let NextStep::Stop(reason) = views.views[1].take_next_step() else { panic!("too few servers have data") };
    assert!(reason.contains("only 1 of 3 servers have their data"), "{reason}");
}

#[test]
fn servers_of_other_clusters_are_refused_in_words_and_go_on() {
    let (mut ours, theirs) = (Views::founded(3), {
        let mut theirs = Views::new(3, Standing::New);
        theirs.lose_data(0, Standing::New);
        theirs.meet_all();
        theirs
    });
    let greeting = theirs.views[0].greeting(Term(1), Index(1));
    let refusal = ours.views[1].receive(&greeting).expect_err("another cluster");
    assert!(!refusal.must_stop && refusal.reason.contains("belongs to cluster"), "{refusal:?}");

    let mut greeting = ours.views[0].greeting(Term(1), Index(1));
    greeting.peers[2] = "elsewhere".to_string();
    let refusal = ours.views[1].receive(&greeting).expect_err("another list");
    assert!(!refusal.must_stop && refusal.reason.contains("host-0,host-1,elsewhere"), "{refusal:?}");
}

#[test]
fn data_of_an_earlier_version_is_registered_when_all_have_met() {
    let mut views = Views::new(3, Standing::Unregistered);
    views.meet(0, 1).expect("they belong together");
    assert!(!views.views[0].takes_part(), "S2 is missing");
    views.meet_all();
    assert!(views.views.iter().all(ClusterView::takes_part));

    // One of them is empty: it may be a server that lost its data.
    let mut views = Views::new(3, Standing::Unregistered);
    views.lose_data(2, Standing::New);
    views.meet_all();
    assert!(views.views.iter().all(|view| !view.takes_part()));
    let NextStep::Stop(reason) = views.views[2].take_next_step() else { panic!("S2 must not take part") };
    assert!(reason.contains("earlier version") && reason.contains("serve --replace"), "{reason}");

    // It is replaced, and the others have a majority of the data.
    views.lose_data(2, Standing::Replacing);
    views.meet_all();
    assert!(views.views.iter().all(ClusterView::takes_part));
    assert!(matches!(views.views[2].membership.standing, Standing::CatchingUp(_)));
}
