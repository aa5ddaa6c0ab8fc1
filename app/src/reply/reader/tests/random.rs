//! Random replies over connections that break at random places.

use super::*;

fn events() -> impl Strategy<Value = Vec<ChatEvent<'static>>> {
    let piece = prop_oneof![
        6 => "[a-z é漢👩\n]{0,6}".prop_map(|text| ChatEvent::Text(text.into())),
        1 => "[a-z]{0,6}".prop_map(|text| ChatEvent::Reasoning(text.into())),
        1 => any::<u32>().prop_map(|tokens| ChatEvent::Usage(Usage {
            completion_tokens: Some(tokens.into()),
            ..Usage::default()
        })),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|mut events| {
        events.insert(0, start());
        events.push(ChatEvent::Done(Finish::Stop));
        events
    })
}

fn fates() -> impl Strategy<Value = Vec<(Fate, Option<LifecycleEvent>)>> {
    let how = prop_oneof![
        Just(How::Error),
        Just(How::End),
        Just(How::Silence),
        Just(How::NoHeaders),
        Just(How::Busy)
    ];
    let cut = (0_usize..600, how).prop_map(|(bytes, how)| Cut { bytes, how });
    let fate = (
        0_u64..30,
        proptest::option::weighted(0.9, cut),
        1_usize..80,
        any::<bool>(),
    )
        .prop_map(|(again, cut, chunk, joins)| Fate {
            again,
            cut,
            chunk,
            joins,
        });
    let lifecycle_event = prop_oneof![
        Just(LifecycleEvent::Shown),
        Just(LifecycleEvent::Hidden),
        Just(LifecycleEvent::Online)
    ];
    proptest::collection::vec((fate, proptest::option::of(lifecycle_event)), 0..12)
}

proptest! {
    #[test]
    fn wherever_it_is_cut_each_event_is_passed_on_once_and_in_order(
        log in events(),
        fates in fates(),
        is_sent in any::<bool>(),
    ) {
        let (fates, given): (Vec<_>, Vec<_>) = fates.into_iter().unzip();
        let world = World::new(log.clone(), fates);
        let lifecycle_events = world.events();
        let mut reader = world.reader(if is_sent { send() } else { follow() });
        let mut updates = Vec::new();
        let mut is_over = false;
        // One lifecycle event whenever the reader waits; in the end the page is shown.
        for lifecycle_event in given.into_iter().chain([Some(LifecycleEvent::Shown)]) {
            if let Some(lifecycle_event) = lifecycle_event {
                let _ = lifecycle_events.unbounded_send(lifecycle_event);
            }
            let (more, over) = read(&world, &mut reader);
            updates.extend(more);
            is_over = over;
        }
        prop_assert!(is_over);
        if let Some(ReaderEvent::Rejected(_)) = updates.last() {
            // A rejected message has no events.
            prop_assert!(is_sent && fold(&updates) == Transcript::default());
        } else {
            prop_assert_eq!(fold(&updates), fold_log(&log));
        }
        // A message is sent again only with the same ids, and never after its reply has started.
        let asked = world.asked();
        let sends = asked.iter().take_while(|request| matches!(request, ReplyRequest::Send { .. })).count();
        let are_the_same = asked[..sends].iter().all(|request| *request == asked[0]);
        let are_followed = asked[sends..]
            .iter()
            .all(|request| matches!(request, ReplyRequest::Resume { .. }));
        prop_assert!(are_the_same && are_followed);
    }
}
