//! The program on an empty machine: no certificates, and no folder for temporary files.

use app::protocol::saved::{EXPORT_PATH, IMPORT_PATH};

use crate::support::conversations::id;
use crate::support::http::{self, Request};
use crate::support::program::Program;
use crate::support::program_data::ask;
use crate::support::soon;

#[tokio::test]
async fn without_certificates_and_temporary_files_it_streams_saves_and_imports() {
    let nowhere = "/there-is-no-such-place";
    let variables = [
        ("SSL_CERT_FILE", nowhere),
        ("SSL_CERT_DIR", nowhere),
        ("TMPDIR", nowhere),
        ("RILL_OLLAMA", "off"),
    ];
    let program = soon(Program::with_variables(&variables, &[])).await;
    let reply = ask(&program, &id()).await;
    assert_eq!(reply.outcome(), "complete");
    let send = async |request: Request| {
        let answer = soon(http::send(program.address, &request)).await;
        let answer = answer.expect("an answer");
        let status = answer.status;
        let body = soon(answer.body()).await.expect("a body");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    };
    let exported = send(Request::get(EXPORT_PATH)).await;
    let import = Request::new("POST", IMPORT_PATH).header("content-type", "application/json");
    send(import.body(exported)).await;
}
