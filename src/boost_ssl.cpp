// The compiled half of Asio's TLS, apart from the rest, so that what speaks none needs no libssl.
#include <boost/asio/ssl/impl/src.hpp>
