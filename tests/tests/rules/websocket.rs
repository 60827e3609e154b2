//! Upgrades to WebSocket.

use ingress_tests::{EchoServer, Serving, Upstream, raw, upgrade};
use tungstenite::Message;

use crate::setup::rule;

fn manifests(echo: &EchoServer, plain: &Upstream) -> String {
    let service = |name: &str, port: u16| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n\
             ---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\n\
             subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: http, port: {port}}}]}}]\n"
        )
    };
    let ingress = "---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: all, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - http:
      paths:
      - {path: /plain/.*, backend: {serviceName: plain, servicePort: 80}}
      - {path: /ws/.*, backend: {serviceName: web, servicePort: 80}}
      - {path: /refused/.*, backend: {serviceName: web, servicePort: 80}}
      - {path: /moved/.*, backend: {serviceName: web, servicePort: 80}}
";
    service("web", echo.address.port())
        + &service("plain", plain.address.port())
        + ingress
        + &rule(
            "a",
            "match: {request: {headers: {uri: {prefix: /ws/}}}}, websocketUpgrade: true, \
                 httpReqTimeout: {simpleTimeout: {timeout: 200ms}}",
        )
        + &rule(
            "b",
            "match: {request: {headers: {uri: {prefix: /refused/}}}}, websocketUpgrade: false",
        )
        + &rule("c", "match: {request: {headers: {uri: {prefix: /moved/}}}}, redirect: {uri: /ws/}")
        + "---\napiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {name: plain}\n\
           spec: {destination: {name: plain}, websocketUpgrade: true}\n"
}

#[test]
fn an_upgrade_is_allowed_by_rule_and_refused_elsewhere() {
    let (echo, plain) = (EchoServer::start(), Upstream::start("plain"));
    let serving = Serving::start(&manifests(&echo, &plain));
    let mut socket = upgrade(serving.http, "shop.example", "/ws/chat?x").expect("an upgrade");
    for text in ["one", "two"] {
        socket.send(Message::text(text)).expect("a message is sent");
        let answer = socket.read().expect("a message");
        assert_eq!(answer.to_text().expect("text"), format!("/ws/chat?x {text}"));
    }
    // It outlives the rule's timeout, which is only for the response.
    std::thread::sleep(std::time::Duration::from_millis(600));
    let bytes = vec![0xff; 100_000];
    socket.send(Message::Binary(bytes.clone().into())).expect("a message is sent");
    assert_eq!(socket.read().expect("a message").into_data(), bytes);
    // It also outlives a change of the rules.
    serving.replace(&(manifests(&echo, &plain) + &rule("d", "precedence: 9, appendHeaders: {x-new: 'yes'}, match: {request: {headers: {uri: /new}}}")));
    std::thread::sleep(std::time::Duration::from_millis(500));
    socket.send(Message::text("still")).expect("a message is sent");
    assert_eq!(socket.read().expect("a message").to_text().expect("text"), "/ws/chat?x still");
    socket.close(None).expect("it closes");

    for path in ["/refused/x", "/unknown", "/moved/x"] {
        assert_eq!(upgrade(serving.http, "shop.example", path).err(), Some(403), "{path}");
    }
}

/// KEP-3726.
#[test]
fn an_upgrade_is_allowed_where_the_port_says_so() {
    let (echo, plain) = (EchoServer::start(), Upstream::start("plain"));
    let manifests = manifests(&echo, &plain)
        .replace("port: 80}]}\n", "port: 80, appProtocol: kubernetes.io/ws}]}\n");
    let serving = Serving::start(&manifests);
    for path in ["/ws/x", "/refused/x"] {
        let mut socket = upgrade(serving.http, "shop.example", path).expect("an upgrade");
        socket.send(Message::text("one")).expect("a message is sent");
        let answer = socket.read().expect("a message");
        assert_eq!(answer.to_text().expect("text"), format!("{path} one"));
    }
    assert_eq!(upgrade(serving.http, "shop.example", "/moved/x").err(), Some(403));
}

#[test]
fn nothing_but_a_websocket_is_tunnelled() {
    let (echo, plain) = (EchoServer::start(), Upstream::start("plain"));
    let serving = Serving::start(&manifests(&echo, &plain));
    let ask = |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: {headers}\r\n\r\n");
        raw(serving.http, request.as_bytes()).status
    };
    // Envoy removes the other protocols. The upstream of /plain does not upgrade.
    for (upgrade, plain, unknown) in [
        ("h2c, websocket", 200, 403),
        ("websocket, h2c", 200, 403),
        ("tls", 200, 404),
        ("websocketx", 200, 404),
        ("connect-udp", 200, 404),
    ] {
        let headers = format!("upgrade\r\nupgrade: {upgrade}");
        assert_eq!(ask("/plain/x", &headers), plain, "{upgrade}");
        assert_eq!(ask("/unknown", &headers), unknown, "{upgrade}");
    }
    // Without the connection option, or with one that Envoy does not recognise, it
    // is a plain request.
    assert_eq!(ask("/plain/x", "close\r\nupgrade: websocket"), 200);
    assert_eq!(ask("/plain/x", "keep-alive"), 200);
    // Headers that only the filter may set are removed from a client's request.
    let forged = "upgrade\r\nupgrade: websocket\r\nx-ingress-websocket: 1";
    assert_eq!(ask("/refused/x", forged), 403);
}
