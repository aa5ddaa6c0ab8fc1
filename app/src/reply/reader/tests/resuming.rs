//! Resuming a reply after its connection is lost.

use super::*;

#[test]
fn a_connection_without_failures_is_read_to_the_end() {
    check([], 1);
}

#[test]
fn a_lost_connection_is_resumed_after_the_last_complete_event() {
    for how in [How::Error, How::End, How::Silence] {
        for bytes in [0, 1, 70, 90, 100, 130] {
            check([Fate::cut(bytes, how)], 2);
        }
    }
}

#[test]
fn repeated_events_are_skipped() {
    let again = Fate { again: 1, ..WHOLE };
    check([Fate::cut(100, How::End), again], 2);
}

#[test]
fn an_end_is_passed_on_whatever_its_seq() {
    // The reader has received all events up to the seq of the end.
    let world = World::new(reply(), [Fate { again: 1, ..WHOLE }]);
    let mut reader = world.reader(ReplyRequest::Resume {
        generation: "g".into(),
        after: Some(4),
    });
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    let first = reader.poll_next_unpin(&mut context);
    let end = ReaderEvent::Event(ChatEvent::Done(Finish::Stop));
    assert_eq!(first, Poll::Ready(Some(end)));
    assert_eq!(reader.poll_next_unpin(&mut context), Poll::Ready(None));
}

#[test]
fn a_reader_reports_whether_it_had_to_resume() {
    let unreached = || Fate::cut(0, How::NoHeaders);
    for (request, fates, expect) in [
        (follow(), vec![], false),
        (follow(), vec![Fate::cut(90, How::Error)], true),
        (send(), vec![unreached(), unreached()], false),
        (send(), vec![unreached(), Fate::cut(90, How::Error)], true),
    ] {
        let world = World::new(reply(), fates);
        let mut reader = world.reader(request);
        let (_, is_over) = read(&world, &mut reader);
        assert!(is_over);
        assert_eq!(reader.was_resumed(), expect);
    }
}

#[test]
fn a_server_that_lost_the_end_restarts_the_reply() {
    // The server was killed and has saved less than was read; `again` goes back before the start.
    let world = World::new(
        reply(),
        [Fate::cut(130, How::End), Fate { again: 99, ..WHOLE }],
    );
    let (updates, _) = read(&world, &mut world.reader(follow()));
    let starts = updates
        .iter()
        .filter(|update| matches!(update, ReaderEvent::Event(ChatEvent::Start(_))));
    assert_eq!(starts.count(), 2);
    assert_eq!(fold(&updates), fold_log(&reply()));
}

#[test]
fn a_loss_is_reported_once_after_the_first_failed_attempt_to_resume() {
    let beside = |fates: &[Fate]| {
        check(fates.iter().cloned(), fates.len() + 1)
            .into_iter()
            .filter(|update| !matches!(update, ReaderEvent::Event(_)))
            .collect::<Vec<_>>()
    };
    let gone = Fate::cut(0, How::NoHeaders);
    let cut = Fate::cut(100, How::Error);
    assert_eq!(beside(std::slice::from_ref(&cut)), []);
    assert_eq!(
        beside(&[cut, gone.clone(), gone.clone(), gone]),
        [ReaderEvent::Lost, ReaderEvent::Resumed]
    );
}

#[test]
fn a_hidden_page_releases_its_connection_and_resumes_when_it_is_shown() {
    let world = World::new(reply(), [Fate::cut(100, How::Silence)]);
    let lifecycle_events = world.events();
    let mut reader = world.reader(follow());
    lifecycle_events
        .unbounded_send(LifecycleEvent::Hidden)
        .expect("it listens");
    let (mut updates, is_over) = read(&world, &mut reader);
    assert!(!is_over && world.asked().len() == 1);
    assert!(world.now() <= HIDDEN_PATIENCE);
    lifecycle_events
        .unbounded_send(LifecycleEvent::Shown)
        .expect("it listens");
    let (rest, is_over) = read(&world, &mut reader);
    updates.extend(rest);
    assert!(is_over);
    assert_eq!(fold(&updates), fold_log(&reply()));
}

#[test]
fn the_reader_connects_at_once_when_the_network_is_back() {
    let world = World::new(reply(), vec![Fate::cut(0, How::NoHeaders); 9]);
    let lifecycle_events = world.events();
    let mut reader = world.reader(follow());
    let mut context = Context::from_waker(futures::task::noop_waker_ref());
    // Until the reader waits.
    while reader.poll_next_unpin(&mut context).is_ready() {}
    let attempts = world.asked().len();
    lifecycle_events
        .unbounded_send(LifecycleEvent::Online)
        .expect("it listens");
    while reader.poll_next_unpin(&mut context).is_ready() {}
    assert_eq!(world.asked().len(), attempts + 1);
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn waits_grow_to_a_limit_and_are_random() {
    for failures in 0..60 {
        let (least, most) = (backoff(failures, 0.0), backoff(failures, 1.0));
        assert!(least < most && most <= LONGEST_WAIT);
        assert!(backoff(failures + 1, 1.0) >= most);
    }
    assert!(backoff(1, 1.0) <= Duration::from_millis(200));
    assert_eq!(backoff(60, 1.0), LONGEST_WAIT);
}
