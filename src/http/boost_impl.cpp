// The compiled half of Asio and Beast, once (BOOST_ASIO_SEPARATE_COMPILATION); never part of a unity batch.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
