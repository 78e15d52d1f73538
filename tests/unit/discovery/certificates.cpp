#include "certificates.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace diastole::discovery::testing {
namespace {

constexpr long kValidSeconds = 3600;

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  EXPECT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Issued prepare(const std::string& common_name, X509* issuer) {
  static long serial = 1;
  Issued issued;
  issued.key.reset(EVP_EC_gen("P-256"));
  issued.certificate.reset(X509_new());
  X509* const certificate = issued.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kValidSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds);
  X509_set_pubkey(certificate, issued.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer != nullptr ? issuer : certificate));
  return issued;
}

void write_pem(const std::filesystem::path& path, X509* certificate, EVP_PKEY* key) {
  BIO* const file = BIO_new_file(path.c_str(), "w");
  if (certificate != nullptr) PEM_write_bio_X509(file, certificate);
  if (key != nullptr) PEM_write_bio_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  BIO_free(file);
  std::filesystem::permissions(path, std::filesystem::perms(0600));
}

}  // namespace

Authority::Authority(const std::string& name) : self_(prepare(name, nullptr)) {
  extend(self_.certificate.get(), self_.certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  extend(self_.certificate.get(), self_.certificate.get(), NID_key_usage, "critical,keyCertSign");
  X509_sign(self_.certificate.get(), self_.key.get(), EVP_sha256());
  write_pem(ca_file(), self_.certificate.get(), nullptr);
}

Issued Authority::issue(const std::string& names) const {
  Issued issued = prepare("throw-away", self_.certificate.get());
  extend(issued.certificate.get(), self_.certificate.get(), NID_subject_alt_name, names);
  X509_sign(issued.certificate.get(), self_.key.get(), EVP_sha256());
  return issued;
}

OwnedContext Authority::server(const std::string& names, bool clients) const {
  const Issued issued = issue(names);
  OwnedContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), issued.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), issued.key.get());
  if (clients) {
    SSL_CTX_load_verify_locations(context.get(), ca_file().c_str(), nullptr);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

void Authority::write(const std::string& name, const Issued& issued) const {
  write_pem(directory() / (name + ".pem"), issued.certificate.get(), nullptr);
  write_pem(directory() / (name + ".key"), nullptr, issued.key.get());
}

}  // namespace diastole::discovery::testing
