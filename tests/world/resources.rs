//! Clocks that jump and descriptors that run out, on one host and not on others.

use squall::Sim;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{TcpListener, TcpStream};

const MS: Duration = Duration::from_millis(1);

#[squall::test(seeds = 20, audit = 100)]
async fn the_wall_clock_of_one_host_jumps(sim: Sim) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let host = sim.host("clock", move || {
        let tell = tell.clone();
        async move {
            let began = Instant::now();
            loop {
                let _ = tell.send((SystemTime::now(), began.elapsed()));
                tokio::time::sleep(10 * MS).await;
            }
        }
    });
    let hour = Duration::from_secs(3600);
    told.recv().await.unwrap();
    host.jump_clock_back(hour);
    let (wall, _) = told.recv().await.unwrap();
    let behind = SystemTime::now().duration_since(wall).unwrap();
    assert!(behind >= hour && behind < hour + 10 * MS, "{behind:?}");
    host.jump_clock_forward(3 * hour);
    let (wall, ran) = told.recv().await.unwrap();
    let ahead = wall.duration_since(SystemTime::now()).unwrap();
    assert!(ahead <= 2 * hour && ahead > 2 * hour - 10 * MS, "{ahead:?}");
    // Its monotonic clock does not jump.
    assert!(ran < 100 * MS, "{ran:?}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn descriptors_run_out_and_come_back(sim: Sim) {
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    let here = sim.get("test");
    here.limit_descriptors(0);
    let e = TcpStream::connect("127.0.0.1:80").await.unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
    // Another host has its own.
    sim.host("client", || async {
        TcpStream::connect("test:80").await.unwrap();
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(100 * MS).await;
    let e = listener.accept().await.unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
    here.limit_descriptors(1024);
    listener.accept().await.unwrap();
}
