//! Forged headers, behind a real nginx. `RILL_TEST_NGINX` names its program; without it these tests do nothing, as those
//! of PostgreSQL without a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::support::http::{Request, send_from};
use crate::support::people::{PASSWORD, cookie_of, form, join};
use crate::support::rill::Rill;
use server::access::Role;

/// A running nginx in front of a server. It ends when it is dropped.
struct Nginx {
    address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// With these lines in the location. `None` if there is no nginx.
    async fn before(server: SocketAddr, lines: &str) -> Option<Self> {
        let program = std::env::var("RILL_TEST_NGINX")
            .ok()
            .filter(|it| !it.is_empty())?;
        let folder = TempDir::new().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = free.local_addr().expect("a bound socket");
        drop(free);
        let settings = format!(
            "daemon off; master_process off; pid nginx.pid; error_log error.log;\nevents {{}}\nhttp {{ access_log off; \
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; \
             scgi_temp_path scgi;\nserver {{ listen {address};\nlocation / {{ proxy_pass http://{server}; \
             proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_buffering off;\n{lines}\n}} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), settings).expect("written");
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self {
            address,
            child,
            _folder: folder,
        };
        crate::support::soon(async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn nobody_names_themselves_past_nginx() {
    let text = "[access]\nmode = \"proxy\"\n[access.proxy]\nuser_header = \"X-Forwarded-User\"\n\
                groups_header = \"X-Forwarded-Groups\"\nadmin_groups = [\"ops\"]\ntrusted = [\"127.0.0.1\"]";
    let rill = Rill::with_file(text, &[]).await;
    // As after a sign-in that nginx has checked.
    let lines = "proxy_set_header X-Forwarded-User ann@example.com;\nproxy_set_header X-Forwarded-Groups staff;\n\
                 proxy_set_header X-Forwarded-For $remote_addr;";
    let Some(nginx) = Nginx::before(rill.address, lines).await else {
        return;
    };
    let forged = |path: &str| {
        Request::get(path)
            .header("X-Forwarded-User", "root@example.com")
            .header("x_forwarded_user", "root@example.com")
            .header("X-Forwarded-Groups", "ops")
            .header("X-Forwarded-For", "127.0.0.1")
            .header("Forwarded", "for=127.0.0.1")
    };
    let account = send_from(CLIENT, nginx.address, &forged("/account")).await;
    let account = account.expect("an answer");
    assert_eq!(account.status, 200);
    let page = account.body().await.expect("a body");
    let page = String::from_utf8_lossy(&page);
    assert!(
        page.contains("ann@example.com") && !page.contains("root@"),
        "{page}"
    );
    let people = send_from(CLIENT, nginx.address, &forged("/people")).await;
    assert_eq!(people.expect("an answer").status, 403, "not an admin");
    // Past nginx the header comes from a peer that is not trusted.
    let past = send_from(CLIENT, rill.address, &forged("/account")).await;
    assert_eq!(past.expect("an answer").status, 403);
    let names = rill.state.store.people().await.expect("read");
    assert_eq!(names.len(), 1, "nobody else was added");
}

#[tokio::test]
async fn no_forged_address_gives_more_guesses_past_nginx() {
    for forwarded in ["$remote_addr", "$proxy_add_x_forwarded_for"] {
        let text = "[access]\nmode = \"accounts\"\n[access.proxy]\ntrusted = [\"127.0.0.1\"]";
        let rill = Rill::with_file(text, &[]).await;
        join(&rill, "ann@example.com", Role::Admin).await;
        let line = format!("proxy_set_header X-Forwarded-For {forwarded};");
        let Some(nginx) = Nginx::before(rill.address, &line).await else {
            return;
        };
        let guess = async |number: u8, password: &str| {
            // Each guess is for another account and pretends to come from elsewhere.
            let email = match password {
                PASSWORD => "ann@example.com".to_owned(),
                _ => format!("somebody-{number}@example.com"),
            };
            let fields = [("email", email.as_str()), ("password", password)];
            let request = form(nginx.address, "/signin", &fields)
                .header("X-Forwarded-For", &format!("203.0.113.{number}"))
                .header("Forwarded", &format!("for=203.0.113.{number}"));
            let answer = send_from(CLIENT, nginx.address, &request).await;
            answer.expect("an answer")
        };
        for number in 0..5 {
            assert_eq!(guess(number, "a wrong password").await.status, 401);
        }
        assert_eq!(
            guess(5, "a wrong password").await.status,
            429,
            "{forwarded}"
        );
        let right = guess(6, PASSWORD).await;
        assert_eq!(right.status, 429, "from this address");
        // From elsewhere the person still comes in.
        let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
        let request = form(nginx.address, "/signin", &fields);
        let elsewhere = send_from(Ipv4Addr::new(127, 0, 0, 3), nginx.address, &request).await;
        let elsewhere = elsewhere.expect("an answer");
        assert_eq!(elsewhere.status, 303);
        assert!(cookie_of(&elsewhere).starts_with("rill="));
    }
}
