//! A collector of traces: takes spans by OTLP in Protocol Buffers, and reads them by the numbers of the standard.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running collector. It stops when it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Taken {
    bodies: Vec<Bytes>,
    headers: Vec<HeaderMap>,
}

/// A span as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentSpan {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty if it has none.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) nanoseconds: u64,
    /// Numbers as text.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) has_failed: bool,
}

impl SentSpan {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let taken = Arc::new(Mutex::new(Taken::default()));
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&taken));
        let serving = async move { axum_serve(listener, router).await };
        Self {
            address,
            taken,
            serving: tokio::spawn(serving),
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bytes of all that came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.taken.lock().expect("whole").bodies.concat()
    }

    /// The headers of the requests.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.taken.lock().expect("whole").headers.clone()
    }

    /// The attributes of the resources, and the spans in the order of their ends.
    pub(crate) fn spans(&self) -> (BTreeMap<String, String>, Vec<SentSpan>) {
        let (mut resource, mut spans) = (BTreeMap::new(), Vec::new());
        for body in &self.taken.lock().expect("whole").bodies {
            for resource_spans in Message::read(body).messages(1) {
                let attributes = resource_spans.messages(1);
                resource.extend(attributes.iter().flat_map(|one| one.attributes(1)));
                for scope_spans in resource_spans.messages(2) {
                    spans.extend(scope_spans.messages(2).iter().map(span));
                }
            }
        }
        (resource, spans)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn axum_serve(listener: TcpListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let stream = hyper_util::rt::TokioIo::new(stream);
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
        tokio::spawn(connection);
    }
}

async fn take(
    State(taken): State<Arc<Mutex<Taken>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut taken = taken.lock().expect("whole");
    taken.bodies.push(body);
    taken.headers.push(headers);
    StatusCode::OK
}

fn span(message: &Message<'_>) -> SentSpan {
    let hex = |field| {
        let bytes = message.bytes(field);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let status = message.messages(15);
    SentSpan {
        trace: hex(1),
        id: hex(2),
        parent: hex(4),
        name: message.text(5),
        kind: message.number(6),
        nanoseconds: message.number(8) - message.number(7),
        attributes: message.attributes(9).into_iter().collect(),
        has_failed: status.iter().any(|status| status.number(3) == 2),
    }
}

/// A message of Protocol Buffers: the numbers and values of its fields.
struct Message<'a>(Vec<(u64, Field<'a>)>);

#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn read(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Number(varint(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(
                    split(&mut bytes, 8).try_into().expect("eight bytes"),
                )),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).expect("a length");
                    Field::Bytes(split(&mut bytes, length))
                }
                5 => Field::Number(u64::from(u32::from_le_bytes(
                    split(&mut bytes, 4).try_into().expect("four bytes"),
                ))),
                other => panic!("there is no wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    fn all(&self, number: u64) -> impl Iterator<Item = Field<'a>> + '_ {
        let fields = self.0.iter().filter(move |(found, _)| *found == number);
        fields.map(|(_, field)| *field)
    }

    fn number(&self, field: u64) -> u64 {
        match self.all(field).last() {
            Some(Field::Number(number)) => number,
            Some(Field::Bytes(_)) => panic!("field {field} is no number"),
            None => 0,
        }
    }

    fn bytes(&self, field: u64) -> &'a [u8] {
        match self.all(field).last() {
            Some(Field::Bytes(bytes)) => bytes,
            Some(Field::Number(_)) => panic!("field {field} is a number"),
            None => &[],
        }
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field).to_vec()).expect("text")
    }

    fn messages(&self, field: u64) -> Vec<Self> {
        let inner = self.all(field).map(|field| match field {
            Field::Bytes(bytes) => Self::read(bytes),
            Field::Number(_) => panic!("it is no message"),
        });
        inner.collect()
    }

    /// The fields of the type `KeyValue`.
    fn attributes(&self, field: u64) -> Vec<(String, String)> {
        let pairs = self.messages(field);
        let pairs = pairs.iter().map(|pair| {
            let any = &pair.messages(2)[0];
            let value = match any.0[0] {
                (1, Field::Bytes(_)) => any.text(1),
                (3, Field::Number(number)) => number.to_string(),
                (field, _) => panic!("a value of kind {field} is not expected"),
            };
            (pair.text(1), value)
        });
        pairs.collect()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = split(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number has at most ten bytes")
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at_checked(length).expect("a whole message");
    *bytes = rest;
    first
}
