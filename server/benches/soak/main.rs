//! Runs the real program for long, under faults, and compares what readers received with what is kept.
//!
//! * `cargo bench -p server --bench soak -- --minutes 10`: many chats, readers that leave and come back,
//!   stops and renames, while the disk is full and free again, another program holds the database, the
//!   provider cuts its streams and closes kept connections, and 2,000 streams are open at once.
//! * `cargo bench -p server --bench soak -- --kills 200`: the same, killed at random moments, half of
//!   them within a fault.
//!
//! Further options: `--chats N` at one time, `--streams N`. The program is `RILL_BIN`, or the one of this
//! build. The full disk needs a file system of its own: a small tmpfs, which root may mount, as in
//! `unshare --user --map-root-user --mount`. Without it that fault is left out, and the summary says so.
//!
//! It prints a summary and ends with 1 if anything was violated. Linux only, since it reads `/proc`.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod chats;
mod client;
mod data;
mod kept;
mod program;
mod provider;
mod received;
mod world;

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::random_range;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::data::{Data, Fault};
use self::program::Program;
use self::world::World;

/// How long the last replies have to end, once nothing new is asked.
const END: Duration = Duration::from_secs(60);
/// How long the server has to return what it used. Idle connections to a provider are kept for 90 s, and looked
/// for every 90 s, so the last one is closed after 180 s.
const QUIET: Duration = Duration::from_secs(200);
/// What a server may hold in addition when it is quiet again. The memory is what the allocator and the
/// caches of the store keep after a peak; a leak of each reply exceeds it in a long run.
const SPARE_DESCRIPTORS: usize = 16;
const SPARE_MEMORY: usize = 96 * 1024 * 1024;

struct Options {
    minutes: f64,
    kills: u32,
    chats: usize,
    streams: usize,
}

fn options() -> Options {
    let mut options = Options {
        minutes: 0.0,
        kills: 0,
        chats: 40,
        streams: 2_000,
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo adds `--bench`.
    let mut arguments = arguments.iter().filter(|argument| *argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().map_or("", String::as_str);
        let number: f64 = value
            .parse()
            .unwrap_or_else(|_| panic!("{name} takes a number, not {value:?}"));
        match name.as_str() {
            "--minutes" => options.minutes = number,
            "--kills" => options.kills = number as u32,
            "--chats" => options.chats = number as usize,
            "--streams" => options.streams = number as usize,
            other => panic!("no such option: {other}"),
        }
    }
    if options.minutes == 0.0 && options.kills == 0 {
        (options.minutes, options.kills) = (0.5, 5);
    }
    options
}

fn main() -> ExitCode {
    let options = options();
    if let Some(code) = with_descriptors() {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut is_fine = true;
    if options.minutes > 0.0 {
        is_fine &= runtime.block_on(soak(&options));
    }
    if options.kills > 0 {
        is_fine &= runtime.block_on(kill(&options));
    }
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs this program again with as many descriptors as it may have: each stream needs one here.
fn with_descriptors() -> Option<ExitCode> {
    const IS_RAISED: &str = "RILL_SOAK_IS_RAISED";
    if std::env::var_os(IS_RAISED).is_some() {
        return None;
    }
    let own = std::env::current_exe().expect("Linux knows it");
    let status = Command::new("sh")
        .args(["-c", "ulimit -n $(ulimit -Hn); exec \"$0\" \"$@\""])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(IS_RAISED, "1")
        .status()
        .expect("a shell");
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(1)))
}

async fn start() -> (Arc<World>, Program) {
    let data = Data::new();
    let provider = provider::start().await;
    let program = Program::new(data.path(), provider);
    let world = Arc::new(World::new(data, program.address()));
    (world, program)
}

/// Keeps so many chats going until the world ends.
fn keep_chatting(world: &Arc<World>, chats: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..chats {
        let world = Arc::clone(world);
        tasks.spawn(async move {
            while !world.is_ending() {
                chats::chat(&world).await;
            }
        });
    }
    tasks
}

async fn soak(options: &Options) -> bool {
    let (world, mut program) = start().await;
    program.start().await;
    // What is needed once belongs to no reply.
    for _ in 0..20 {
        chats::chat(&world).await;
    }
    let before = program.usage();
    let begun = Instant::now();
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let mut chats = keep_chatting(&world, options.chats);
    let mut has_had_streams = false;
    while begun.elapsed() < length {
        if !has_had_streams && begun.elapsed() > length / 2 {
            has_had_streams = true;
            chats::many_streams(&world, options.streams).await;
        }
        sleep(Duration::from_millis(random_range(500..2_000))).await;
        world.with_fault(random_fault(), async |_| {}).await;
        if !program.is_running() {
            world.violated("the server ended by itself".to_owned());
            break;
        }
    }
    finish(&world, &mut chats).await;
    let after = settle(&program, before).await;
    if after.descriptors > before.descriptors + SPARE_DESCRIPTORS {
        world.violated(format!("descriptors: {before:?}, {after:?}"));
    }
    if after.memory > before.memory + SPARE_MEMORY {
        world.violated(format!("memory: {before:?}, {after:?}"));
    }
    world.note(
        "descriptors before, after",
        format!("{}, {}", before.descriptors, after.descriptors),
    );
    let mib = |bytes: usize| bytes / 1024 / 1024;
    world.note(
        "MiB before, after",
        format!("{}, {}", mib(before.memory), mib(after.memory)),
    );
    kept::compare(&world).await;
    program.kill().await;
    program.check_log(&world);
    world.print(&format!(
        "soak of {:.1} minutes",
        begun.elapsed().as_secs_f64() / 60.0
    ))
}

async fn kill(options: &Options) -> bool {
    let (world, mut program) = start().await;
    program.start().await;
    let mut chats = keep_chatting(&world, options.chats);
    for number in 0..options.kills {
        let pause = Duration::from_millis(random_range(200..3_000));
        if number % 2 == 0 {
            sleep(pause).await;
            world.on_kill(false);
            program.kill().await;
        } else {
            let program = &mut program;
            world
                .with_fault(random_fault(), async |world: &World| {
                    sleep(pause.min(Duration::from_secs(2))).await;
                    world.on_kill(true);
                    program.kill().await;
                })
                .await;
        }
        program.start().await;
        world.starts.fetch_add(1, Ordering::Relaxed);
    }
    finish(&world, &mut chats).await;
    kept::compare(&world).await;
    program.kill().await;
    program.check_log(&world);
    world.print(&format!("{} kills", options.kills))
}

/// The faults that are possible here, one of them.
fn random_fault() -> Fault {
    if random_range(0..2) == 0 {
        Fault::Full
    } else {
        Fault::Locked
    }
}

/// Lets the chats that run come to their ends.
async fn finish(world: &World, chats: &mut JoinSet<()>) {
    world.end();
    let all = async {
        while let Some(ended) = chats.join_next().await {
            if let Err(error) = ended {
                world.violated(format!("the soak itself failed: {error}"));
            }
        }
    };
    if tokio::time::timeout(END, all).await.is_err() {
        world.violated(format!("{} chats did not come to an end", chats.len()));
        chats.abort_all();
    }
}

/// Waits until the server uses no more than before, or for long enough.
async fn settle(program: &Program, before: program::Usage) -> program::Usage {
    let begun = Instant::now();
    loop {
        let usage = program.usage();
        let is_quiet = usage.descriptors <= before.descriptors + SPARE_DESCRIPTORS;
        if (is_quiet && begun.elapsed() > Duration::from_secs(5)) || begun.elapsed() > QUIET {
            return usage;
        }
        sleep(Duration::from_millis(500)).await;
    }
}
