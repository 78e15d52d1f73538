// TLS as a client: who is trusted and who we are, from files that may change while the daemon runs.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"

namespace diastole::discovery {

struct TlsFiles {
  std::filesystem::path ca;    // empty: the system's
  std::filesystem::path cert;  // empty, with `key`: we show none
  std::filesystem::path key;
};

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// Peers are always verified, by TLS 1.2 at the least. Not thread-safe.
class Tls {
 public:
  explicit Tls(TlsFiles files) : files_(std::move(files)) {}

  // Read anew where a file has changed, which is looked for once a second. While what has changed cannot be read,
  // what was read before is used; invalid_argument where nothing ever was.
  [[nodiscard]] Result<TlsContext> context(MonoTime now);

 private:
  [[nodiscard]] std::string stamp() const;
  [[nodiscard]] Result<TlsContext> read() const;

  TlsFiles files_;
  TlsContext context_;
  std::string read_;  // the stamp of what context_ was made of
  MonoTime looked_{};
};

}  // namespace diastole::discovery
