// A throw-away certificate authority, and what it certifies.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <string>

#include "support/temporary_directory.hpp"

namespace diastole::discovery::testing {

using OwnedKey = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using OwnedCertificate = std::unique_ptr<X509, void (*)(X509*)>;
using OwnedContext = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

struct Issued {
  OwnedKey key{nullptr, EVP_PKEY_free};
  OwnedCertificate certificate{nullptr, X509_free};
};

class Authority {
 public:
  explicit Authority(const std::string& name);

  // `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
  [[nodiscard]] Issued issue(const std::string& names) const;
  // Of a server with such a certificate; `clients`: it demands one of its clients', by this authority.
  [[nodiscard]] OwnedContext server(const std::string& names, bool clients = false) const;
  // PEM files.
  [[nodiscard]] std::filesystem::path ca_file() const { return directory_.path() / "ca.pem"; }
  // NAME.pem and NAME.key.
  void write(const std::string& name, const Issued& issued) const;
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
  Issued self_;
};

}  // namespace diastole::discovery::testing
