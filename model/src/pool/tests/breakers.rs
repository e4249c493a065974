//! What an unhealthy BMC costs, and how it comes back.

use super::*;

fn busy() -> BmcError {
    BmcError::Busy {
        bmc: "10.0.0.1:443".into(),
        reason: "insufficient resources for session".into(),
        retry_after: Some(secs(10)),
    }
}

fn broken() -> Rig {
    let mut rig = Rig::new(PoolSettings::default());
    for _ in 0..3 {
        rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&silent()));
    }
    rig
}

#[test]
fn three_silences_open_the_breaker_and_it_answers_with_the_last_error() {
    let mut rig = broken();
    let refusal = rig.refusal(job(rig.now, 1, Priority::Sync));
    let PoolRefusal::Silent {
        last,
        failures,
        retry_in,
    } = &refusal
    else {
        panic!("{refusal}");
    };
    assert_eq!((&**last, *failures), (&silent(), 3));
    assert!((secs(5)..=secs(10)).contains(retry_in), "{retry_in:?}");
    assert!(refusal.to_string().contains("3 times in a row"));
    assert_eq!(rig.pool.stats(rig.now).breakers_open, 1);
}

#[test]
fn a_probe_that_fails_doubles_the_pause_and_one_that_is_answered_ends_it() {
    let mut rig = broken();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let refusal = rig.refusal(job(rig.now, 1, Priority::Recovery));
        let pause = refusal.retry_in().expect("a time");
        pauses.push(pause);
        rig.pass(pause);
        rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&silent()));
    }
    assert!(pauses.iter().all(|pause| *pause <= secs(120)), "{pauses:?}");
    assert!(pauses[6] >= secs(60), "{pauses:?}");
    rig.pass(secs(120));
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
    assert_eq!(rig.pool.stats(rig.now).breakers_open, 0);
}

#[test]
fn a_probe_is_short_and_a_bmc_that_became_slow_gets_more_time() {
    let mut rig = Rig::new(PoolSettings::default());
    let mut budgets = Vec::new();
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
    for _ in 0..4 {
        rig.pass(secs(10));
        let id = rig.submit(job(rig.now, 1, Priority::Sync));
        let Some(Effect::Start { budget, .. }) = rig.out.pop() else {
            panic!("it starts");
        };
        budgets.push(budget);
        rig.end(id, Outcome::Failed(&silent()));
    }
    assert_eq!(budgets, [secs(2), secs(4), secs(8), secs(5)]);
}

#[test]
fn users_may_knock_but_not_hammer() {
    let mut rig = broken();
    assert!(rig.refusal(job(rig.now, 1, Priority::User)).retry_in() <= Some(secs(5)));
    rig.pass(secs(5));
    rig.ask(job(rig.now, 1, Priority::User), Outcome::Failed(&silent()));
    rig.refusal(job(rig.now, 1, Priority::User));
    rig.pass(secs(5));
    rig.ask(job(rig.now, 1, Priority::User), Outcome::Answered);
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
}

#[test]
fn jobs_behind_the_silence_that_opens_the_breaker_are_answered_at_once() {
    let mut rig = Rig::new(PoolSettings::default());
    for _ in 0..2 {
        rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&silent()));
    }
    let last = rig.submit(job(rig.now, 1, Priority::Sync));
    rig.submit(job(rig.now, 1, Priority::Sync));
    rig.submit(write(rig.now, 1));
    rig.end(last, Outcome::Failed(&silent()));
    assert_eq!(rig.rejected().len(), 2);
}

#[test]
fn silence_within_a_hurried_budget_proves_nothing() {
    let mut rig = Rig::new(PoolSettings::default());
    for _ in 0..5 {
        let hurried = Job {
            deadline: rig.now + ms(800),
            ..job(rig.now, 1, Priority::User)
        };
        rig.ask(hurried, Outcome::Failed(&silent()));
    }
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
}

#[test]
fn one_refused_login_stops_everything_until_the_credentials_change() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&refused()));
    for priority in Priority::ALL {
        let refusal = rig.refusal(job(rig.now, 1, priority));
        assert!(matches!(refusal, PoolRefusal::AuthBroken { .. }));
        let text = refusal.to_string();
        assert!(
            text.contains("until driver_info has new credentials"),
            "{text}"
        );
    }
    let stats = rig.pool.stats(rig.now);
    assert_eq!((stats.auth_broken_total, stats.auth_broken.len()), (1, 1));
    rig.pool
        .credentials_changed(rig.now, BmcKey(1), &mut rig.out);
    rig.pass(ms(1));
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
}

#[test]
fn one_attempt_is_made_after_the_long_pause() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&refused()));
    rig.pass(secs(899));
    rig.refusal(job(rig.now, 1, Priority::Sync));
    rig.pass(secs(1));
    let probe = rig.submit(job(rig.now, 1, Priority::Sync));
    rig.submit(job(rig.now, 1, Priority::Sync));
    assert_eq!(rig.started(), [probe]);
    rig.end(probe, Outcome::Failed(&refused()));
    assert!(matches!(
        rig.rejected()[..],
        [PoolRefusal::AuthBroken { .. }]
    ));
}

#[test]
fn a_refusal_of_the_old_credentials_does_not_bar_the_new_ones() {
    let mut rig = Rig::new(PoolSettings::default());
    let late = rig.submit(job(rig.now, 1, Priority::Sync));
    rig.started();
    rig.pool
        .credentials_changed(rig.now, BmcKey(1), &mut rig.out);
    rig.pass(ms(10));
    rig.end(late, Outcome::Failed(&refused()));
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
}

#[test]
fn a_refusal_of_the_new_credentials_bars_the_bmc_even_if_they_left_in_the_same_millisecond() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&busy()));
    let patient = rig.submit(job(rig.now, 1, Priority::Sync));
    rig.pool
        .credentials_changed(rig.now, BmcKey(1), &mut rig.out);
    assert_eq!(rig.started(), [patient]);
    rig.end(patient, Outcome::Failed(&refused()));
    let refusal = rig.refusal(job(rig.now, 1, Priority::Sync));
    assert!(
        matches!(refusal, PoolRefusal::AuthBroken { .. }),
        "{refusal}"
    );
}

#[test]
fn a_busy_bmc_is_left_alone_for_as_long_as_it_asks() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Failed(&busy()));
    let patient = rig.submit(job(rig.now, 1, Priority::Sync));
    assert_eq!(rig.started(), []);
    let refusal = rig.refusal(Job {
        deadline: rig.now + secs(5),
        ..job(rig.now, 1, Priority::User)
    });
    assert!(
        refusal.to_string().contains("left alone for 10 s"),
        "{refusal}"
    );
    rig.pass(secs(10));
    assert_eq!(rig.started(), [patient]);
}

#[test]
fn a_held_back_write_leaves_no_trace() {
    let mut rig = Rig::new(PoolSettings::default());
    rig.ask(write(rig.now, 1), Outcome::NotMade);
    rig.ask(write(rig.now, 1), Outcome::Answered);
}

#[test]
fn late_calls_give_up_their_places() {
    let settings = PoolSettings {
        limit_initial: 2,
        limit_min: 1,
        user_reserve: 0,
        ..PoolSettings::default()
    };
    let mut rig = Rig::new(settings);
    for n in 1..=4 {
        rig.submit(job(rig.now, n, Priority::Sync));
    }
    let hanging = rig.started();
    assert_eq!(hanging.len(), 2);
    let due = rig.pool.wake_at().expect("the late ones");
    rig.pass(due.since(rig.now));
    rig.pool.assert_sound();
    assert_eq!(rig.started().len(), 2);
    let stats = rig.pool.stats(rig.now);
    assert_eq!((stats.in_flight, stats.suspects_in_flight), (2, 2));
    for id in hanging {
        rig.end(id, Outcome::Answered);
    }
}

#[test]
fn a_login_that_was_refused_elsewhere_is_not_tried_here() {
    let mut rig = Rig::new(PoolSettings::default());
    let wish = job(rig.now, 1, Priority::User);
    let bar = |rig: &mut Rig| {
        rig.pool
            .bar(rig.now, wish.node, wish.endpoint, refused(), &mut rig.out);
    };
    bar(&mut rig);
    for priority in Priority::ALL {
        let refusal = rig.refusal(job(rig.now, 1, priority));
        assert_eq!(refusal.last_error(), Some(&refused()), "{refusal}");
    }
    // Told again, the time does not begin anew.
    rig.pass(secs(600));
    bar(&mut rig);
    rig.pass(secs(300));
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
    // Whom it answered itself, it believes more than the record.
    bar(&mut rig);
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
    assert_eq!(rig.pool.stats(rig.now).auth_broken_total, 0);
}

#[test]
fn new_credentials_open_a_breaker_that_was_closed_by_the_record() {
    let mut rig = Rig::new(PoolSettings::default());
    let wish = job(rig.now, 1, Priority::Sync);
    rig.pool
        .bar(rig.now, wish.node, wish.endpoint, refused(), &mut rig.out);
    rig.refusal(wish);
    rig.pool
        .credentials_changed(rig.now, wish.endpoint.bmc, &mut rig.out);
    rig.ask(job(rig.now, 1, Priority::Sync), Outcome::Answered);
}
