//! Every route, asked by every kind of caller. The table comes from the router itself, so no route is missing.

use server::http::{Needs, RouteInfo, route_table};

use crate::support::http::Request;
use crate::support::rill::Rill;
use crate::support::scripted_upstream::ScriptedUpstream;

/// A path of the route, with ids that exist nowhere.
fn path_of(route: &RouteInfo) -> String {
    let id = "0190a0b0-0000-7000-8000-000000000000";
    route
        .path
        .replace("{id}", id)
        .replace("{*id}", "model")
        .replace("{*file}", "none.css")
        .replace("{*unknown}", "nothing-here")
}

/// The requests to a route.
fn requests(route: &RouteInfo) -> Vec<Request> {
    let request = |method: &&str| {
        Request::new(method, &path_of(route))
            .header("content-type", "application/json")
            .body(if *method == "POST" { "{}" } else { "" })
    };
    route.methods.iter().map(request).collect()
}

#[tokio::test]
async fn nobody_reaches_anything_that_belongs_to_somebody() {
    let upstream = ScriptedUpstream::playing(Vec::new()).await;
    let proxy = "[access]\nmode = \"proxy\"\n[access.proxy]\nuser_header = \"X-User\"\ntrusted = [\"10.0.0.0/8\"]";
    for rill in [
        Rill::with(&upstream, &["--access=accounts"]).await,
        Rill::with_file(proxy, &[]).await,
    ] {
        let table = route_table(&rill.state);
        assert!(table.len() > 20, "routes are missing: {}", table.len());
        for route in &table {
            for request in requests(route) {
                let status = rill.send(&request).await.status;
                match route.needs {
                    Needs::Nothing => assert!(matches!(status, 200 | 404), "{route:?}: {status}"),
                    _ => assert_eq!(status, 401, "{route:?}"),
                }
            }
        }
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn alone_on_this_machine_one_may_do_everything() {
    let upstream = ScriptedUpstream::playing(Vec::new()).await;
    let rill = Rill::before(&upstream).await;
    for route in &route_table(&rill.state) {
        for request in requests(route) {
            let status = rill.send(&request).await.status;
            assert!(!matches!(status, 401 | 403 | 405), "{route:?}: {status}");
        }
    }
}

#[tokio::test]
async fn the_table_names_every_method_of_a_route() {
    let upstream = ScriptedUpstream::playing(Vec::new()).await;
    let rill = Rill::before(&upstream).await;
    for route in &route_table(&rill.state) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let status = rill
                .send(&Request::new(method, &path_of(route)))
                .await
                .status;
            let is_file = route.path.ends_with("{*file}") || route.path.ends_with("{*unknown}");
            if !is_file {
                let is_named = route.methods.contains(&method);
                assert_eq!(status != 405, is_named, "{method} {route:?}: {status}");
            }
        }
    }
}
