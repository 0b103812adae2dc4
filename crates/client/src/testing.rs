//! A network of scripted brokers in memory, for tests with virtual time.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use roka_protocol::frame::encode_response;
use roka_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use roka_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker};
use roka_protocol::{ApiKey, Message, RequestHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::transport::{Connecting, Stream, Transport};
use crate::{Address, Config};

/// What a scripted broker does with a request.
pub(crate) enum Act {
    /// Sends these bytes, length included.
    Send(Bytes),
    /// Says nothing.
    Silence,
    /// Ends the connection.
    HangUp,
}

/// A request as the broker sees it.
pub(crate) struct Seen {
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn api(&self) -> ApiKey {
        ApiKey::from_i16(self.header.api_key).unwrap()
    }

    pub(crate) fn decode<M: Message>(&self) -> M {
        M::decode(self.body.clone(), self.header.api_version).unwrap()
    }

    pub(crate) fn answer<M: Message>(&self, response: &M) -> Act {
        let RequestHeader { api_key, api_version, correlation_id, .. } = self.header;
        let frame = encode_response(api_key, api_version, correlation_id, response).unwrap();
        Act::Send(frame.into_bytes())
    }

    /// The answer to `ApiVersions` of a broker that knows all versions.
    pub(crate) fn all_versions(&self) -> Act {
        let api = |key: &ApiKey| ApiVersion { api_key: key.key(), min_version: 0, max_version: 30 };
        let mut api_keys: Vec<_> = ApiKey::ALL.iter().map(api).collect();
        api_keys.sort_by_key(|it| it.api_key);
        self.answer(&ApiVersionsResponse { api_keys, ..Default::default() })
    }
}

type Script = Arc<dyn Fn(&str, &Seen) -> Act + Send + Sync>;

#[derive(Default)]
struct Log {
    dials: HashMap<String, usize>,
    requests: Vec<(String, ApiKey)>,
    down: Vec<String>,
}

/// The network: one script for all brokers, told who is asked by `host:port`.
#[derive(Clone)]
pub(crate) struct Net {
    script: Script,
    log: Arc<Mutex<Log>>,
}

impl Net {
    pub(crate) fn new(script: impl Fn(&str, &Seen) -> Act + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), log: Arc::default() }
    }

    /// Dials to the address are refused, or not any more. Connections that are open stay.
    pub(crate) fn refuse(&self, address: &str, refuse: bool) {
        let down = &mut self.log.lock().unwrap().down;
        down.retain(|it| it != address);
        if refuse {
            down.push(address.into());
        }
    }

    pub(crate) fn dials(&self, address: &str) -> usize {
        self.log.lock().unwrap().dials.get(address).copied().unwrap_or(0)
    }

    pub(crate) fn requests(&self, api: ApiKey) -> usize {
        self.log.lock().unwrap().requests.iter().filter(|it| it.1 == api).count()
    }

    pub(crate) fn requests_at(&self, address: &str, api: ApiKey) -> usize {
        let log = self.log.lock().unwrap();
        log.requests.iter().filter(|it| it.0 == address && it.1 == api).count()
    }

    async fn serve(self, address: String, mut stream: DuplexStream) -> io::Result<()> {
        loop {
            let len = stream.read_i32().await?;
            let mut frame = BytesMut::zeroed(usize::try_from(len).unwrap());
            stream.read_exact(&mut frame).await?;
            let seen = read(frame.freeze());
            self.log.lock().unwrap().requests.push((address.clone(), seen.api()));
            match (self.script)(&address, &seen) {
                Act::Send(bytes) => stream.write_all(&bytes).await?,
                Act::Silence => {}
                Act::HangUp => return Ok(()),
            }
        }
    }
}

impl Transport for Net {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            let address = address.to_string();
            {
                let mut log = self.log.lock().unwrap();
                *log.dials.entry(address.clone()).or_default() += 1;
                if log.down.contains(&address) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
            }
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            tokio::spawn(self.clone().serve(address, theirs));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

/// Takes a request apart.
pub(crate) fn read(mut frame: Bytes) -> Seen {
    let header = RequestHeader::decode(&mut frame).unwrap();
    Seen { header, body: frame }
}

/// A metadata answer that names these brokers as nodes 1, 2, …
pub(crate) fn brokers(addresses: &[&str]) -> MetadataResponse {
    let broker = |(index, address): (usize, &&str)| {
        let (host, port) = address.split_once(':').unwrap();
        MetadataResponseBroker {
            node_id: index as i32 + 1,
            host: host.into(),
            port: port.parse().unwrap(),
            rack: None,
        }
    };
    MetadataResponse {
        brokers: addresses.iter().enumerate().map(broker).collect(),
        controller_id: 1,
        ..MetadataResponse::default()
    }
}

/// A configuration whose chance is always the same.
pub(crate) fn config(bootstrap: &str) -> Config {
    Config::new(bootstrap).random_seed(7)
}
