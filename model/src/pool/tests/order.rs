//! Who leaves when.

use super::*;

#[test]
fn one_conversation_per_bmc_even_for_two_nodes() {
    let mut rig = Rig::new(PoolSettings::default());
    let first = rig.submit(job(START, 1, Priority::Sync));
    let mut other = job(START, 1, Priority::User);
    other.node = NodeId(Uuid::from_u128(99));
    let second = rig.submit(other);
    assert_eq!(rig.started(), [first]);
    rig.end(first, Outcome::Answered);
    assert_eq!(rig.started(), [second]);
}

#[test]
fn users_go_first_and_sync_is_not_starved() {
    let settings = PoolSettings {
        limit_initial: 1,
        limit_max: 1,
        limit_min: 1,
        user_reserve: 0,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(settings);
    let mut flying = rig.submit(job(START, 1, Priority::User));
    let sync = rig.submit(job(START, 2, Priority::Sync));
    let recovery = rig.submit(job(START, 3, Priority::Recovery));
    rig.started();
    let mut order = Vec::new();
    for n in 0..64 {
        rig.submit(job(START, 100 + n, Priority::User));
        rig.end(flying, Outcome::Answered);
        let [next] = rig.started()[..] else {
            panic!("one leaves when one lands");
        };
        order.push(next);
        flying = next;
    }
    let place = |id| order.iter().position(|started| *started == id);
    assert!(place(sync).is_some_and(|place| place < 8), "{order:?}");
    assert!(place(recovery).is_some_and(|place| place < 32), "{order:?}");
    let urgent = order.iter().filter(|id| **id != sync && **id != recovery);
    assert!(urgent.count() >= 62);
}

#[test]
fn a_stream_of_users_jobs_at_one_bmc_lets_its_sync_through() {
    let mut rig = Rig::new(PoolSettings::default());
    let mut flying = rig.submit(job(START, 1, Priority::User));
    let sync = rig.submit(job(START, 1, Priority::Sync));
    rig.started();
    let mut before = 0;
    loop {
        rig.submit(job(rig.now, 1, Priority::User));
        rig.end(flying, Outcome::Answered);
        let [next] = rig.started()[..] else {
            panic!("one leaves when one lands");
        };
        if next == sync {
            break;
        }
        flying = next;
        before += 1;
        assert!(before < 10);
    }
}

#[test]
fn a_block_has_its_own_limit() {
    let settings = PoolSettings {
        block_max: 2,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(settings);
    let ids: Vec<JobId> = (0..4)
        .map(|n| rig.submit(job(START, n, Priority::Sync)))
        .collect();
    let elsewhere = rig.submit(job(START, 100, Priority::Sync));
    assert_eq!(rig.started(), [ids[0], ids[1], elsewhere]);
    rig.end(ids[1], Outcome::Answered);
    assert_eq!(rig.started(), [ids[2]]);
}

#[test]
fn packets_are_paced() {
    let settings = PoolSettings {
        packets_per_second: 12,
        packets_burst: 12,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(settings);
    rig.submit(job(START, 1, Priority::Sync));
    rig.submit(job(START, 2, Priority::Sync));
    assert_eq!(rig.started().len(), 1);
    assert_eq!(rig.pool.wake_at(), Some(START + secs(1)));
    rig.pass(secs(1));
    assert_eq!(rig.started().len(), 1);
}

#[test]
fn power_commands_keep_their_distance_and_reads_do_not() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(write(START, 1), Outcome::Answered);
    let second = rig.submit(write(START, 1));
    rig.ask(job(START, 1, Priority::User), Outcome::Answered);
    assert_eq!(rig.pool.wake_at(), Some(START + secs(5)));
    rig.pass(secs(5));
    assert_eq!(rig.started(), [second]);
    rig.end(second, Outcome::Answered);
    let mut hurried = write(rig.now, 1);
    hurried.deadline = rig.now + secs(3);
    let refusal = rig.refusal(hurried);
    assert!(
        refusal.to_string().contains("min_command_interval"),
        "{refusal}"
    );
}

#[test]
fn a_job_whose_time_ran_out_says_what_it_waited_for() {
    let mut rig = Rig::new(PoolSettings::default());
    let first = rig.submit(job(START, 1, Priority::Sync));
    rig.submit(Job {
        deadline: START + secs(1),
        ..job(START, 1, Priority::Sync)
    });
    assert_eq!(rig.started(), [first]);
    let due = rig.pool.wake_at().expect("the deadline");
    rig.pass(due.since(START));
    let refusal = rig.rejected().pop().expect("a refusal");
    let text = "`power status` waited 750 ms for its turn and then had no time left: \
                another conversation with this BMC took long";
    assert_eq!(refusal.to_string(), text);
    rig.end(first, Outcome::Answered);
    assert_eq!(rig.started(), []);
}

#[test]
fn queues_are_bounded() {
    let settings = PoolSettings {
        queue_per_bmc_max: 2,
        queue_max: 3,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(settings);
    for _ in 0..3 {
        rig.submit(job(START, 1, Priority::Sync));
    }
    assert_eq!(rig.started().len(), 1);
    let refusal = rig.refusal(job(START, 1, Priority::User));
    assert!(refusal.to_string().contains("for this BMC"), "{refusal}");
    rig.submit(job(START, 2, Priority::User));
    rig.submit(job(START, 2, Priority::User));
    rig.started();
    let refusal = rig.refusal(job(START, 2, Priority::User));
    assert!(
        refusal.to_string().contains("in this conductor"),
        "{refusal}"
    );
}

#[test]
fn what_is_taken_back_is_not_reported() {
    let mut rig = Rig::new(PoolSettings::default());
    let (one, two) = (job(START, 1, Priority::Sync), job(START, 1, Priority::User));
    let flying = rig.submit(one);
    rig.submit(Job {
        ticket: Ticket(7),
        ..two
    });
    let (now, out) = (rig.now, &mut Vec::new());
    assert!(rig.pool.cancel(now, BmcKey(1), two.node, Ticket(7), out));
    assert!(rig.pool.cancel(now, BmcKey(1), one.node, one.ticket, out));
    assert!(!rig.pool.cancel(now, BmcKey(1), one.node, one.ticket, out));
    rig.pool.assert_sound();
    let ended = rig
        .pool
        .finished(now, flying, ms(5), Outcome::Answered, out);
    assert!(ended.is_some_and(|ended| ended.cancelled));
    assert!(out.is_empty());
}

#[test]
fn forgetting_a_node_rejects_its_jobs_and_keeps_those_of_the_neighbour() {
    let mut rig = Rig::new(PoolSettings::default());
    let own = job(START, 1, Priority::Sync);
    let neighbour = Job {
        node: NodeId(Uuid::from_u128(99)),
        ..own
    };
    let flying = rig.submit(own);
    rig.submit(own);
    let kept = rig.submit(neighbour);
    rig.started();
    rig.pool.forget(rig.now, BmcKey(1), own.node, &mut rig.out);
    assert!(matches!(
        rig.rejected()[..],
        [PoolRefusal::Forgotten { .. }]
    ));
    rig.end(flying, Outcome::Answered);
    assert_eq!(rig.started(), [kept]);
    rig.end(kept, Outcome::Answered);
    rig.pool.forget(rig.now, BmcKey(1), own.node, &mut rig.out);
    assert_eq!(rig.pool.stats(rig.now).bmcs, 0);
}

#[test]
fn places_are_scarce_whatever_limits_them() {
    let narrow = PoolSettings {
        block_max: 1,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(narrow);
    for n in 0..5 {
        assert!(!rig.pool.is_pressed(), "{n}");
        rig.submit(job(START, n, Priority::Sync));
    }
    assert!(!rig.pool.is_pressed(), "four wait for one place");
    rig.submit(job(START, 5, Priority::Sync));
    assert!(rig.pool.is_pressed());
    // A beat of reads that all may leave presses nobody.
    let mut rig = Rig::new(PoolSettings::default());
    for n in 0..100 {
        rig.submit(job(START, 100 * n, Priority::Sync));
    }
    assert!(!rig.pool.is_pressed());
}

#[test]
fn idle_bmcs_are_forgotten_in_the_end() {
    let mut rig = Rig::new(PoolSettings::default());
    for n in 0..50 {
        rig.ask(job(rig.now, n, Priority::Sync), Outcome::Answered);
    }
    rig.pass(secs(3600));
    for _ in 0..30 {
        rig.ask(job(rig.now, 1000, Priority::Sync), Outcome::Answered);
    }
    assert_eq!(rig.pool.stats(rig.now).bmcs, 1);
}
