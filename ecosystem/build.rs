//! Generates the gRPC service of `tests/stock/grpc.rs` from Rust, so that no protoc is needed.
use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::grpc::Quantity")
            .output_type("crate::grpc::Quantity")
            .codec_path("tonic_prost::ProstCodec")
    };
    let ledger = Service::builder()
        .name("Ledger")
        .package("ecosystem")
        .method(method("add", "Add").build())
        .method(method("count_down", "CountDown").server_streaming().build())
        .method(method("sum", "Sum").client_streaming().build())
        .method(
            method("running_total", "RunningTotal")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().compile(&[ledger]);
}
