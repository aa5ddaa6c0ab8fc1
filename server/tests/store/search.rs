//! Full-text search in any script.

use super::*;

#[tokio::test]
async fn words_of_any_script_are_found_from_their_first_letters() {
    each(async |store| {
        for (text, answer) in [
            ("Hello World", "naïve café"),
            ("東京タワーはどこ", "港区です"),
            ("Привет, мир", "שלום עולם"),
            ("हिन्दी भाषा", "안녕하세요 세계"),
            ("zero\0in it", "C'est l'été; drop table"),
        ] {
            say(
                &store,
                LOCAL_OWNER,
                &question(&new_id(), None, text),
                answer,
            )
            .await;
        }
        let check = async |query: &str, expect: usize| {
            let hits = store
                .search(LOCAL_OWNER, query, 10)
                .await
                .expect("an answer");
            assert_eq!(hits.len(), expect, "{query}");
            for hit in hits {
                assert!(hit.snippet.iter().any(|part| part.marked), "{query}");
            }
        };
        check("h", 1).await;
        check("hel wor", 1).await;
        check("wor hel", 1).await;
        check("cafe", 1).await;
        check("CAFÉ", 1).await;
        check("東", 1).await;
        check("京タ", 1).await;
        check("京東", 0).await;
        check("港区", 1).await;
        check("при", 1).await;
        check("של", 1).await;
        check("हि", 1).await;
        check("안녕", 1).await;
        check("세", 1).await;
        check("zero in", 1).await;
        check("ete", 1).await;
        check("orld", 0).await;
        check("' & !", 0).await;
        check("title", 5).await;
    })
    .await;
}
