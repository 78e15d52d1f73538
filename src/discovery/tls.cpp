#include "tls.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <utility>

namespace diastole::discovery {
namespace {

using boost::system::error_code;
namespace ssl = boost::asio::ssl;

constexpr Milliseconds kLookAgain{1'000};

}  // namespace

std::string Tls::stamp() const {
  std::string text;
  for (const auto* path : {&files_.ca, &files_.cert, &files_.key}) {
    struct stat status{};
    if (path->empty() || stat(path->c_str(), &status) != 0) status = {};
    text += fmt::format("{} {} {}.{} ", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  return text;
}

Result<TlsContext> Tls::read() const {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  error_code error;
  context->set_verify_mode(ssl::verify_peer, error);
  const auto unusable = [&](const std::filesystem::path& path) {
    return fail(ErrorCode::invalid_argument, fmt::format("cannot use {}: {}", path.string(), error.message()));
  };
  if (files_.ca.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(files_.ca.string(), error);
  }
  if (error) return unusable(files_.ca.empty() ? "the system's certificates" : files_.ca);
  if (files_.cert.empty()) return context;
  context->use_certificate_chain_file(files_.cert.string(), error);
  if (error) return unusable(files_.cert);
  context->use_private_key_file(files_.key.string(), ssl::context::pem, error);
  if (error) return unusable(files_.key);
  return context;
}

Result<TlsContext> Tls::context(MonoTime now) {
  if (context_ && now - looked_ < kLookAgain) return context_;
  looked_ = now;
  std::string present = stamp();
  if (context_ && present == read_) return context_;
  Result<TlsContext> fresh = read();
  if (fresh) {
    context_ = std::move(*fresh);
    read_ = std::move(present);
  } else if (!context_) {
    return fresh;
  }
  return context_;
}

}  // namespace diastole::discovery
