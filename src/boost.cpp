// The compiled half of Asio and Beast, once (BOOST_ASIO_SEPARATE_COMPILATION), for every room that uses them.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
