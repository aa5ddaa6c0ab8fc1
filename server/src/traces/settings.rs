//! The standard variables `OTEL_…`, as far as they are about traces.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderName;
use secrecy::SecretString;

use super::context::TraceId;

/// How spans are sent to a collector.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    pub(super) endpoint: Url,
    pub(super) headers: Vec<(HeaderName, SecretString)>,
    pub(super) resource: Vec<(String, String)>,
    pub(super) sampler: Sampler,
    /// The time limit of a request.
    pub(super) timeout: Duration,
    /// The longest time that a span waits for others.
    pub(super) delay: Duration,
    /// The most spans that wait.
    pub(super) queue: usize,
    /// The most spans of a request.
    pub(super) batch: usize,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// The part of the traces that begin here, from 0 to 1.
    ratio: f64,
    /// Whether the caller decides about the traces that it began.
    follows_caller: bool,
}

impl Sampler {
    /// Whether a trace is recorded. `caller` is what the caller has decided.
    pub(super) fn samples(&self, trace: TraceId, caller: Option<bool>) -> bool {
        match caller {
            Some(is_sampled) if self.follows_caller => is_sampled,
            _ => {
                // The ids are random, so all systems with the same ratio choose the same traces.
                let [.., a, b, c, d, e, f, g, h] = trace;
                let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                self.ratio >= 1.0 || (random as f64) < self.ratio * (1_u64 << 63) as f64
            }
        }
    }
}

impl TraceSettings {
    /// Reads the variables. `None` if no collector is configured.
    ///
    /// # Errors
    /// A sentence that names the variable and says what to write.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let filled = |name: &str| {
            let text = variable(name)?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        // A variable for traces alone precedes the one for all signals.
        let of_otlp = |name: &str| {
            let for_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
            let for_all = format!("OTEL_EXPORTER_OTLP_{name}");
            let found = filled(&for_traces).map(|text| (for_traces, text));
            found.or_else(|| filled(&for_all).map(|text| (for_all, text)))
        };
        let is_disabled =
            filled("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let exporter = filled("OTEL_TRACES_EXPORTER");
        let (is_chosen, is_off) = match exporter.as_deref() {
            None => (false, false),
            Some("otlp") => (true, false),
            Some("none") => (false, true),
            Some(_) => return Err("OTEL_TRACES_EXPORTER: write otlp or none".to_owned()),
        };
        let endpoint = of_otlp("ENDPOINT");
        if is_disabled || is_off || (endpoint.is_none() && !is_chosen) {
            return Ok(None);
        }
        match of_otlp("PROTOCOL") {
            Some((name, text)) if text != "http/protobuf" => {
                return Err(format!(
                    "{name}: only http/protobuf is supported, usually at port 4318"
                ));
            }
            _ => {}
        }
        let headers = of_otlp("HEADERS").map(|(name, text)| {
            let headers: Option<Vec<_>> = pairs(&text).map(header).collect();
            headers.ok_or(format!("{name}: write key1=value1,key2=value2"))
        });
        let number = |name: &str, default: u64| match filled(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name}: write a number above 0")),
            },
        };
        let timeout = match of_otlp("TIMEOUT") {
            Some((name, _)) => number(&name, 0)?,
            None => 10_000,
        };
        let size = |number: u64| usize::try_from(number.min(1 << 20)).expect("it is small");
        let queue = size(number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?);
        let batch = size(number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?);
        Ok(Some(Self {
            endpoint: read_endpoint(endpoint)?,
            headers: headers.transpose()?.unwrap_or_default(),
            resource: resource(
                filled("OTEL_SERVICE_NAME"),
                filled("OTEL_RESOURCE_ATTRIBUTES"),
            )?,
            sampler: read_sampler(
                filled("OTEL_TRACES_SAMPLER"),
                filled("OTEL_TRACES_SAMPLER_ARG"),
            )?,
            timeout: Duration::from_millis(timeout),
            delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5000)?),
            queue,
            batch: batch.min(queue),
        }))
    }

    /// The address of the collector, without what may be secret.
    #[must_use]
    pub fn collector(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// Whether the collector is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.endpoint.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

/// The URL of the endpoint. The variable for all signals names what is before their paths.
fn read_endpoint(endpoint: Option<(String, String)>) -> Result<Url, String> {
    let (name, text) = endpoint.unwrap_or_else(|| {
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            "http://localhost:4318".to_owned(),
        )
    });
    let wrong = || format!("{name}: write a URL as http://localhost:4318");
    let mut url = Url::parse(&text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong());
    }
    if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn read_sampler(name: Option<String>, argument: Option<String>) -> Result<Sampler, String> {
    let name = name.as_deref().unwrap_or("parentbased_always_on");
    let (follows_caller, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => match argument.as_deref().unwrap_or("1").parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => return Err("OTEL_TRACES_SAMPLER_ARG: write a number from 0 to 1".to_owned()),
        },
        _ => {
            return Err("OTEL_TRACES_SAMPLER: write always_on, always_off or traceidratio, also after parentbased_".to_owned());
        }
    };
    Ok(Sampler {
        ratio,
        follows_caller,
    })
}

/// The attributes of the resource. The service has its name by the first of the variables that name it.
fn resource(
    name: Option<String>,
    attributes: Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let attributes = attributes.unwrap_or_default();
    let mut resource = pairs(&attributes)
        .collect::<Option<Vec<_>>>()
        .ok_or("OTEL_RESOURCE_ATTRIBUTES: write key1=value1,key2=value2")?;
    let mut set = |key: &str, value: String, replaces: bool| {
        let found = resource.iter_mut().find(|(name, _)| name == key);
        match found {
            Some((_, old)) if replaces => *old = value,
            Some(_) => {}
            None => resource.push((key.to_owned(), value)),
        }
    };
    let is_named = name.is_some();
    set(
        "service.name",
        name.unwrap_or_else(|| "rill".to_owned()),
        is_named,
    );
    set(
        "service.version",
        env!("CARGO_PKG_VERSION").to_owned(),
        false,
    );
    Ok(resource)
}

/// Reads `key1=value1,key2=value2`, with values in percent-encoding. An item is `None` if it is no pair.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> + '_ {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items.map(|item| {
        let (name, value) = item.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    })
}

fn header(pair: Option<(String, String)>) -> Option<(HeaderName, SecretString)> {
    let (name, value) = pair?;
    let is_plain = value
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    is_plain.then(|| Some((name.parse().ok()?, value.into())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        TraceSettings::read(&|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn traces_are_sent_where_the_standard_says_or_nowhere() {
        let check = |variables: &[(&str, &str)], expect: Option<&str>| {
            let settings = read(variables).expect("right variables");
            let endpoint = settings.map(|settings| settings.endpoint.to_string());
            assert_eq!(endpoint.as_deref(), expect, "{variables:?}");
        };
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/otlp/");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/t");
        check(&[], None);
        check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], None);
        check(&[("OTEL_SERVICE_NAME", "rill")], None);
        check(&[all], Some("https://c.example/otlp/v1/traces"));
        check(&[all, traces], Some("http://127.0.0.1:9/t"));
        check(
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            Some("http://localhost:4318/v1/traces"),
        );
        check(&[all, ("OTEL_TRACES_EXPORTER", "none")], None);
        check(&[all, ("OTEL_SDK_DISABLED", "TRUE")], None);
    }

    #[test]
    fn a_mistake_is_told_by_the_name_of_its_variable() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        for wrong in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:/x"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0Ac"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "some"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ] {
            // The first of two variables with one name counts.
            let error = read(&[wrong, endpoint]).expect_err(wrong.0);
            assert!(error.starts_with(wrong.0), "{error}");
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let wrong = ("OTEL_TRACES_SAMPLER_ARG", "2");
        assert!(read(&[endpoint, ratio, wrong]).is_err());
    }

    #[test]
    fn headers_are_read_and_never_printed() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cret, x-b=c=d",
            ),
        ]);
        let settings = settings.expect("right").expect("a collector");
        let names: Vec<_> = settings
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["authorization", "x-b"]);
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn the_service_is_named_by_its_own_variable_first() {
        let check = |name: Option<&str>, attributes: &str, expect: &str| {
            let resource = resource(name.map(str::to_owned), Some(attributes.to_owned()));
            let resource = resource.expect("right attributes");
            let service = resource.iter().find(|(name, _)| name == "service.name");
            assert_eq!(service.map(|(_, value)| value.as_str()), Some(expect));
        };
        check(None, "a=b", "rill");
        check(None, "service.name=x%2Cy,a=b", "x,y");
        check(Some("z"), "service.name=x", "z");
    }

    #[test]
    fn a_sampler_chooses_by_the_id_unless_the_caller_has_chosen() {
        let check =
            |name: &str, argument: &str, random: u64, caller: Option<bool>, expect: bool| {
                let sampler = read_sampler(Some(name.to_owned()), Some(argument.to_owned()));
                let mut trace = [0; 16];
                trace[8..].copy_from_slice(&random.to_be_bytes());
                let is_sampled = sampler.expect("right").samples(trace, caller);
                assert_eq!(is_sampled, expect, "{name} {argument} {random} {caller:?}");
            };
        check("parentbased_always_on", "", u64::MAX, None, true);
        check("parentbased_always_on", "", 0, Some(false), false);
        check("always_on", "", 0, Some(false), true);
        check("always_off", "", 0, Some(true), false);
        check("parentbased_always_off", "", 0, Some(true), true);
        check("traceidratio", "0.5", u64::MAX / 4, Some(false), true);
        check("traceidratio", "0.5", u64::MAX / 4 * 3, None, false);
        check("traceidratio", "0", 0, None, false);
        check(
            "parentbased_traceidratio",
            "0.5",
            u64::MAX,
            Some(true),
            true,
        );
    }
}
