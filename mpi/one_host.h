/* Keeps MPI from listening on the network when all of its ranks are on one host. */
#ifndef SL_MPI_ONE_HOST_H
#define SL_MPI_ONE_HOST_H

/* Before MPI_Init, under Open MPI's mpirun with every rank on this host: leaves out its TCP
 * transport, which would open two listening sockets a rank and never be used. Does nothing where
 * the user has chosen transports (OMPI_MCA_btl), or the launcher does not say where the ranks are.
 */
void sl_mpi_one_host_request(void);

#endif
