//! Unknown paths, other methods, and what every answer carries.

use super::input::check;
use super::*;
use crate::http::table::ROUTES;

#[tokio::test]
async fn unknown_paths_and_methods_say_what_there_is() {
    let rig = Rig::new();
    for path in ["/", "/v1", "/v0/orders", "/v1/orders/", "/metrics", "/v1/orders/x/y"] {
        check(path, &rig.get(path, "").await, (404, "not_found", "-"));
    }
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let there: Vec<_> = ROUTES.iter().filter(|other| other.path == route.path).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"] {
            if there.iter().any(|other| other.method.names().contains(&method)) {
                continue;
            }
            let request = ask(method, &path, "")
                .header("X-HTTP-Method-Override", "GET")
                .body(Body::empty())
                .unwrap();
            let reply = rig.send(request).await;
            check(&format!("{method} {path}"), &reply, (405, "method_not_allowed", "-"));
            let allow = reply.headers["allow"].to_str().unwrap();
            let names: Vec<_> = there.iter().flat_map(|other| other.method.names()).copied().collect();
            assert_eq!(allow.split(", ").collect::<Vec<_>>(), names, "{path}");
        }
    }
    let long = format!("/v1/locate?lat={}", "1".repeat(11_000));
    check("long", &rig.get(&long, "").await, (414, "uri_too_long", "-"));
    check(
        "no place",
        &rig.get("/v1/locate", "").await,
        (400, "invalid_query", "lat"),
    );
    check(
        "odd path",
        &rig.get("/v1/restaurants/%ff", "").await,
        (400, "invalid_path", "path"),
    );
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let rig = Rig::new();
    let request = ask("GET", "/livez", "")
        .header("X-Request-ID", "abc-1")
        .body(Body::empty())
        .unwrap();
    let reply = rig.send(request).await.expect(200);
    assert_eq!(reply.headers["x-request-id"], "abc-1");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert_eq!(reply.headers["cache-control"], "no-cache");
    let private = rig.get("/v1/orders", &rig.customer(CUSTOMER)).await.expect(200);
    assert_eq!(private.headers["cache-control"], "no-store");
    let refused = rig.get("/v1/orders", "").await.expect(401);
    assert_eq!(refused.headers["cache-control"], "no-store");
    assert_eq!(refused.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn the_page_talks_to_this_node_only() {
    let rig = Rig::new();
    for (path, media) in [
        ("/docs", "text/html"),
        ("/docs/app.js", "text/javascript"),
        ("/docs/style.css", "text/css"),
        ("/console", "text/html"),
        ("/console/app.js", "text/javascript"),
        ("/console/style.css", "text/css"),
    ] {
        let reply = rig.get(path, "").await.expect(200);
        assert_eq!(reply.headers["content-type"], format!("{media}; charset=utf-8"));
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        let text = String::from_utf8(reply.bytes).unwrap();
        for foreign in ["http://", "https://", "innerHTML", "eval(", " style=", "onclick"] {
            assert!(!text.contains(foreign), "{path} has {foreign}");
        }
    }
}
