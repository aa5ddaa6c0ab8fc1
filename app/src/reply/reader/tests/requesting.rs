//! Requests that are not accepted, or whose response is lost.

use super::*;

#[test]
fn an_overloaded_server_is_retried_when_it_says_and_nothing_is_lost() {
    let busy = Fate::cut(0, How::Busy);
    for request in [follow(), send()] {
        let world = World::new(reply(), [busy.clone(), busy.clone()]);
        let (updates, is_over) = read(&world, &mut world.reader(request));
        assert!(is_over);
        assert_eq!(fold(&updates), fold_log(&reply()));
        let at = asked_at(&world);
        let wait = Duration::from_secs(8);
        assert!(at[1] >= at[0] + wait && at[2] >= at[1] + wait, "{at:?}");
    }
    // The message is rejected in the end, with the server's error.
    let world = World::new(reply(), vec![busy; 99]);
    let (updates, _) = read(&world, &mut world.reader(send()));
    assert!(
        matches!(updates.as_slice(), [ReaderEvent::Rejected(error)] if error.kind == ErrorKind::TooMany)
    );
}

#[test]
fn an_ephemeral_reply_is_requested_once() {
    let request = || ReplyRequest::Ephemeral(crate::protocol::ChatRequest::new(Vec::new()));
    let world = World::new(reply(), [Fate::cut(100, How::Error)]);
    let (updates, is_over) = read(&world, &mut world.reader(request()));
    assert!(is_over && world.asked().len() == 1);
    assert!(fold(&updates).is_streaming());

    let world = World::new(reply(), [Fate::cut(0, How::NoHeaders)]);
    let (updates, _) = read(&world, &mut world.reader(request()));
    assert!(matches!(updates.as_slice(), [ReaderEvent::Rejected(_)]));
}

#[test]
fn a_message_whose_response_was_lost_is_sent_again_with_the_same_ids() {
    let world = World::new(
        reply(),
        [Fate::cut(0, How::NoHeaders), Fate::cut(5, How::End)],
    );
    let request = send();
    let (updates, is_over) = read(&world, &mut world.reader(request.clone()));
    assert!(is_over);
    assert_eq!(fold(&updates), fold_log(&reply()));
    assert_eq!(world.asked(), [request.clone(), request.clone(), request]);
}

#[test]
fn a_message_that_started_a_reply_is_never_sent_again() {
    let world = World::new(reply(), [Fate::cut(110, How::Error)]);
    let (updates, _) = read(&world, &mut world.reader(send()));
    assert_eq!(fold(&updates), fold_log(&reply()));
    assert!(matches!(
        world.asked().as_slice(),
        [
            ReplyRequest::Send { .. },
            ReplyRequest::Resume { after: Some(_), .. }
        ]
    ));
}

#[test]
fn a_message_that_is_never_accepted_is_rejected_in_the_end() {
    let world = World::new(reply(), vec![Fate::cut(0, How::NoHeaders); 99]);
    let (updates, is_over) = read(&world, &mut world.reader(send()));
    assert!(is_over);
    assert!(
        matches!(updates.as_slice(), [ReaderEvent::Rejected(error)] if error.kind == ErrorKind::ServerUnreachable)
    );
    assert_eq!(world.asked().len(), 4);
}
