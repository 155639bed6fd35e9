/**
 * A self-signed certificate for 127.0.0.1 and localhost, valid until 2126, and its key. For tests only; nothing trusts
 * it by default.
 */
export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBnTCCAUOgAwIBAgIUChEQvlW7EkZ2W6gtzgGw+B6XViwwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKcGVyY2ggdGVzdDAgFw0yNjExMjMxMzU2MzlaGA8yMTI2MTAz
MDEzNTYzOVowFTETMBEGA1UEAwwKcGVyY2ggdGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABHJyk31tu4V0Cw8Mb/8kMgbj+RtoRgrjP+XHbZlRovvRke5ZDrhf
vQGbjyGRBYuTXMfW1h6wbsK62DG49pGhiZWjbzBtMB0GA1UdDgQWBBRc6EnjMX+T
p+lm20icoow9qE8XojAfBgNVHSMEGDAWgBRc6EnjMX+Tp+lm20icoow9qE8XojAP
BgNVHRMBAf8EBTADAQH/MBoGA1UdEQQTMBGHBH8AAAGCCWxvY2FsaG9zdDAKBggq
hkjOPQQDAgNIADBFAiAKhrr7yAWsa7lvnHghrj8XScg8vRHEi6Hh3kvpj+UBPgIh
AK3kUPXHqHfsTyt6KnxDg0hqly8CsoiZrb3tOSFCsmfR
-----END CERTIFICATE-----
`;

export const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUczdrIyQoxPEziyk
HtVo1YJSwJx1gnCnSa+r4OAARgmhRANCAARycpN9bbuFdAsPDG//JDIG4/kbaEYK
4z/lx22ZUaL70ZHuWQ64X70Bm48hkQWLk1zH1tYesG7CutgxuPaRoYmV
-----END PRIVATE KEY-----
`;
